import { FaasError } from '../core/errors.ts'
import type { HostFacts } from './engine-host.ts'
import type { PingOutcome } from './engine-ping.ts'

/** One place that was asked for an engine, and what came of it. */
export interface EngineAttempt {
  readonly source: string
  /** As DOCKER_HOST would be written, or the path that was looked for. */
  readonly address: string
  readonly outcome: PingOutcome
  readonly detail: string
}

/** ENGINE_NOT_FOUND: what was tried, why each failed, and what to paste on this machine. */
export function engineNotFound(attempts: readonly EngineAttempt[], host: HostFacts): FaasError {
  return new FaasError('ENGINE_NOT_FOUND', {
    message: ['no Docker engine answers. Tried, in this order:', ...formatAttempts(attempts)].join('\n'),
    remedy: remedyFor(attempts, host),
  })
}

/** One aligned line per attempt. */
export function formatAttempts(attempts: readonly EngineAttempt[]): string[] {
  const widest = (of: (attempt: EngineAttempt) => string): number =>
    Math.max(0, ...attempts.map((attempt) => of(attempt).length))
  const source = widest((attempt) => attempt.source)
  const address = widest((attempt) => attempt.address)
  return attempts.map(
    (attempt) =>
      `  ${attempt.source.padEnd(source)}  ${attempt.address.padEnd(address)}  ${attempt.outcome}: ${attempt.detail}`,
  )
}

function remedyFor(attempts: readonly EngineAttempt[], host: HostFacts): string {
  const denied = attempts.find(({ outcome }) => outcome === 'denied')
  if (denied) {
    return `Your user may not use ${denied.address}. Run: sudo usermod -aG docker "$USER"   then log out and in again (or \`newgrp docker\`).`
  }
  const [only] = attempts
  if (only && attempts.length === 1 && /^(--engine|DOCKER_)/.test(only.source)) {
    const name = only.source.split(' ')[0] ?? only.source
    return `Start the engine at ${only.address}, correct ${name}, or leave it out: then the usual places are tried.`
  }
  return startOrInstall(host)
}

function startOrInstall(host: HostFacts): string {
  const sudo = host.root ? '' : 'sudo '
  switch (host.kind) {
    case 'macos':
      return 'Start Docker Desktop, OrbStack or Colima. None installed? Run: brew install colima docker && colima start'
    case 'windows':
      return 'Start Docker Desktop. Not installed? Run: winget install Docker.DockerDesktop'
    case 'wsl':
      return (
        'Start Docker Desktop on Windows and switch on Settings > Resources > WSL integration for this distribution. ' +
        `Without Docker Desktop, run: ${sudo}apt-get update && ${sudo}apt-get install -y docker.io && ${sudo}service docker start`
      )
    case 'debian':
    case 'linux':
      break
    default:
      return host.kind satisfies never
  }
  if (host.hasDockerd) {
    return host.systemd
      ? `An engine is installed but does not run. Run: ${sudo}systemctl start docker`
      : `An engine is installed but does not run. Run: ${sudo}sh -c 'dockerd >/var/log/dockerd.log 2>&1 &'`
  }
  if (host.kind === 'linux') {
    return 'Install Docker Engine or Podman from your distribution (its package is named docker, moby-engine or podman), and start its service.'
  }
  return host.root
    ? 'Run: npx faasdock setup   (installs the Debian package docker.io and starts it)'
    : 'Run: sudo apt-get update && sudo apt-get install -y docker.io && sudo usermod -aG docker "$USER"   then log out and in again.'
}
