import { FaasError } from './errors.ts'

const MEMORY_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  // Docker's own units, met in stack files of the Swarm days. In Kubernetes `m` is milli, which no memory limit means.
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
}

/** A number from here on is nano-CPUs, as Docker Swarm wrote them: nobody means a thousand cores. */
const NANO_CPUS_FROM = 1000

/**
 * Bytes of a memory quantity: Kubernetes' (`128Mi`, `0.5G`, `1e6`, `134217728`) or Docker's (`128m`).
 * Contract 13.2 and 13.4. Throws BAD_QUANTITY.
 */
export function parseMemory(text: string): number {
  const match = /^([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)([A-Za-z]{0,2})$/.exec(text.trim())
  const unit = match && MEMORY_UNITS[match[2] ?? '']
  const bytes = match && unit !== undefined && unit !== null ? Math.round(Number(match[1]) * unit) : NaN
  if (!Number.isSafeInteger(bytes) || bytes <= 0)
    throw badQuantity('memory', text, '"128Mi", "1G" or "134217728"')
  return bytes
}

/** Cores of a CPU quantity: `100m`, `0.5`, `2`, or nano-CPUs as a large integer. Throws BAD_QUANTITY. */
export function parseCpu(text: string): number {
  const match = /^([0-9]+(?:\.[0-9]+)?|\.[0-9]+)(m?)$/.exec(text.trim())
  let cores = match ? Number(match[1]) / (match[2] === 'm' ? 1000 : 1) : NaN
  if (match?.[2] === '' && cores >= NANO_CPUS_FROM) cores /= 1e9
  if (!Number.isFinite(cores) || cores <= 0) throw badQuantity('CPU', text, '"100m", "0.5" or "2"')
  return cores
}

function badQuantity(what: string, text: string, examples: string): FaasError {
  return new FaasError('BAD_QUANTITY', {
    message: `${what} quantity ${JSON.stringify(text)} cannot be read`,
    remedy: `Write it as Kubernetes does, e.g. ${examples}.`,
  })
}
