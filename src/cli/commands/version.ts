import { FaasError } from '../../core/errors.ts'
import { defineCommand, flag } from '../command.ts'
import { findGateway } from '../gateway-for.ts'
import { VERSION } from '../../package.ts'
import type { WireInfo } from '../wire.ts'

interface Flags {
  readonly shortVersion?: boolean
}

/** This program's version, and the gateway's when one answers: no gateway is no failure here. */
export const version = defineCommand<Flags>({
  options: [
    flag('--short-version', 'the version of this program and nothing else'),
    flag('--warn-update', 'accepted and without effect: no other address is asked for newer versions'),
    flag('--no-warn-update').hideHelp(),
  ],
  examples: ['', '--json'],
  async run(context, _args, flags) {
    const { print } = context
    if (flags.shortVersion) {
      print.line(VERSION)
      return 0
    }
    const client = await findGateway(context, { strict: false })
    const gateway = await client.info().catch((error: unknown) => {
      if (error instanceof FaasError && error.code === 'GATEWAY_UNREACHABLE') return undefined
      throw error
    })
    if (print.json) {
      print.value(versionJson(client.url, gateway))
      return 0
    }
    print.line(`client    ${VERSION} (Node ${process.version.slice(1)}, ${process.platform} ${process.arch})`)
    print.line(
      `gateway   ${gateway ? `${gatewayText(gateway)} at ${client.url}` : `none answers at ${client.url}`}`,
    )
    return 0
  },
})

/** In faas-cli's shape, with what the gateway said besides. */
function versionJson(uri: string, info: WireInfo | undefined): Record<string, unknown> {
  const { version, provider, arch } = info ?? {}
  return {
    cli: { commit: '', version: VERSION, node: process.version },
    ...(info && {
      gateway: { uri, version: version?.release, sha: version?.sha, arch },
      provider: {
        name: provider?.provider,
        orchestration: provider?.orchestration,
        version: provider?.version?.release,
        sha: provider?.version?.sha,
      },
    }),
  }
}

function gatewayText({ version: own, provider, arch }: WireInfo): string {
  const runs = [
    provider?.provider,
    provider?.version?.release,
    provider?.orchestration && `on ${provider.orchestration}`,
  ]
  return `${own?.release ?? 'of unknown version'} (${[...runs, arch].filter(Boolean).join(' ')})`
}
