import type { DoctorCheck } from '../core/toolbox.ts'
import { imageLabels } from '../docker/engine-images.ts'
import { findEngine } from '../docker/find-engine.ts'
import { engineChecks } from './doctor-engine.ts'
import { natsCheck } from './nats.ts'
import { dataChecks, nodeCheck, portCheck, watchCheck } from './doctor-machine.ts'

export type { DoctorCheck } from '../core/toolbox.ts'

export interface DoctorOptions {
  /** `--engine` or FAASDOCK_ENGINE. */
  readonly host?: string
  readonly env: NodeJS.ProcessEnv
  readonly home?: string
  /** Where faasdock keeps its state; need not exist yet. */
  readonly dataDir: string
  /** Where the gateway would listen. 127.0.0.1 and 8080 unless told. */
  readonly listen?: string
  readonly port?: number
  /** Of the container that keeps async calls where there is no nats-server. */
  readonly natsImage?: string
  /** Base images that the project's builds ask for. */
  readonly images?: readonly string[]
}

/** Looks at everything that faasdock needs and changes nothing. Never throws for what it finds. */
export async function doctorReport(options: DoctorOptions): Promise<DoctorCheck[]> {
  const { natsImage = '' } = options
  const [engine, port, watch, data, nats] = await Promise.all([
    engineChecks(options),
    portCheck(options.port ?? 8080, options.listen ?? '127.0.0.1'),
    watchCheck(),
    dataChecks(options.dataDir),
    natsCheck(options.env, natsImage, () => hasImage(options, natsImage)),
  ])
  return [nodeCheck(process.versions.node), ...engine, port, ...data, ...watch, nats]
}

async function hasImage(options: DoctorOptions, image: string): Promise<boolean> {
  try {
    const { engine } = await findEngine(options)
    return engine !== undefined && (await imageLabels(engine, image)) !== undefined
  } catch {
    return false
  }
}
