import type { DebugLanguage, DebugTarget } from '../../core/debug.ts'
import type { FunctionSpec } from '../../core/function.ts'
import type { ImageFacts } from '../../docker/image-facts.ts'
import { DEBUG_PORT } from './debug-pump.ts'

/** Where the templates, ours and the official ones, put a handler. */
const HANDLER_FOLDER = '/home/app/function'
const TEMPLATE_LABEL = 'com.faasdock.template'
const TEMPLATES: Readonly<Record<string, DebugLanguage>> = { node: 'node', python3: 'python' }
const PROGRAMS: readonly (readonly [DebugLanguage, RegExp])[] = [
  ['node', /(^|[\s/])(node|nodejs|npm|npx|yarn|pnpm)(\s|$)/],
  ['python', /(^|[\s/])(python[\d.]*|gunicorn|uvicorn|flask|hypercorn)(\s|$)/],
]

/** What of a function can be debugged: undefined for what is neither Node nor Python. */
export function debugTarget(spec: FunctionSpec, image: ImageFacts): DebugTarget | undefined {
  const template = TEMPLATES[image.labels[TEMPLATE_LABEL] ?? '']
  const fprocess = spec.envProcess ?? spec.envVars?.['fprocess'] ?? image.env.get('fprocess')
  const process = fprocess ?? image.command.join(' ')
  const language = template ?? PROGRAMS.find(([, program]) => program.test(process))?.[0]
  if (language === undefined) return undefined
  const folder = fprocess === undefined ? image.folder || '/' : HANDLER_FOLDER
  const isReady = language === 'node' || template !== undefined || process.includes('debugpy')
  if (isReady) return { language, folder }
  const where = fprocess === undefined ? 'end its Dockerfile with CMD' : 'set in the stack file fprocess:'
  return {
    language,
    folder,
    lacks: `add debugpy to its requirements.txt, and ${where} ${withDebugpy(process)}`,
  }
}

/** A command line of Python with its debugger listening; a program of its own (gunicorn) is one that is a module, too. */
function withDebugpy(command: string): string {
  const listening = `-m debugpy --listen 127.0.0.1:${DEBUG_PORT.python}`
  const [, python, rest] = /^(\S*\bpython[\d.]*)\s+(.*)$/.exec(command.trim()) ?? []
  return python === undefined
    ? `python ${listening} -m ${command.trim().replace(/^\S*\//, '')}`
    : `${python} ${listening} ${rest ?? ''}`
}
