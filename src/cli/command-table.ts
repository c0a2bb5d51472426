import type { AnyCommand } from './command.ts'

/** Names and summaries of all commands: what `--help` needs. The rest is loaded when a command runs. */
export interface Entry {
  readonly name: string
  readonly aliases?: readonly string[]
  readonly summary: string
  readonly load?: () => Promise<AnyCommand>
  readonly commands?: readonly Entry[]
}

export interface Group {
  readonly heading: string
  readonly commands: readonly Entry[]
}

export const COMMANDS: readonly Group[] = [
  {
    heading: 'Run functions on this machine:',
    commands: [
      {
        name: 'dev',
        summary: 'start the platform with a stack, and rebuild what you save',
        load: async () => (await import('./commands/dev.ts')).dev,
      },
      {
        name: 'serve',
        summary: 'start the platform without a stack; functions stay when it stops',
        load: async () => (await import('./commands/serve.ts')).serve,
      },
      {
        name: 'status',
        summary: 'gateway, engine and functions on one screen',
        load: async () => (await import('./commands/status.ts')).status,
      },
      {
        name: 'doctor',
        summary: 'find out why something does not work; made to be pasted',
        load: async () => (await import('./commands/doctor.ts')).doctor,
      },
      {
        name: 'setup',
        summary: 'make this machine ready: engine and base images',
        load: async () => (await import('./commands/setup.ts')).setup,
      },
      {
        name: 'gc',
        summary: 'list, and with --yes remove, what dead runs left',
        load: async () => (await import('./commands/gc.ts')).gc,
      },
    ],
  },
  {
    heading: 'Make and deploy functions:',
    commands: [
      {
        name: 'new',
        summary: 'make a function from a template',
        load: async () => (await import('./commands/new.ts')).newFunction,
      },
      {
        name: 'build',
        summary: 'build images of functions',
        load: async () => (await import('./commands/build.ts')).build,
      },
      {
        name: 'push',
        summary: 'push images of functions to their registry',
        load: async () => (await import('./commands/push.ts')).push,
      },
      {
        name: 'deploy',
        summary: 'deploy functions to a gateway',
        load: async () => (await import('./commands/deploy.ts')).deploy,
      },
      {
        name: 'up',
        summary: 'build and deploy functions',
        load: async () => (await import('./commands/up.ts')).up,
      },
      {
        name: 'remove',
        aliases: ['rm', 'delete'],
        summary: 'remove functions from a gateway',
        load: async () => (await import('./commands/remove.ts')).remove,
      },
      {
        name: 'template',
        summary: 'templates that functions can be made from',
        commands: [
          {
            name: 'list',
            aliases: ['ls'],
            summary: 'list templates of the project and built-in ones',
            load: async () => (await import('./commands/template-list.ts')).templateList,
          },
        ],
      },
    ],
  },
  {
    heading: 'Use deployed functions:',
    commands: [
      {
        name: 'list',
        aliases: ['ls'],
        summary: 'list deployed functions',
        load: async () => (await import('./commands/list.ts')).list,
      },
      {
        name: 'describe',
        summary: 'show one function, with its state and problem',
        load: async () => (await import('./commands/describe.ts')).describe,
      },
      {
        name: 'invoke',
        summary: 'call a function with standard input as the body',
        load: async () => (await import('./commands/invoke.ts')).invoke,
      },
      {
        name: 'logs',
        summary: 'show and follow logs of functions',
        load: async () => (await import('./commands/logs.ts')).logs,
      },
      {
        name: 'secret',
        summary: 'secrets that functions can read',
        commands: [
          {
            name: 'list',
            aliases: ['ls'],
            summary: 'list names of secrets',
            load: async () => (await import('./commands/secret-list.ts')).secretList,
          },
          {
            name: 'create',
            summary: 'create a secret',
            load: async () => (await import('./commands/secret-create.ts')).secretCreate,
          },
          {
            name: 'update',
            summary: 'change a secret',
            load: async () => (await import('./commands/secret-update.ts')).secretUpdate,
          },
          {
            name: 'remove',
            aliases: ['rm', 'delete'],
            summary: 'remove a secret',
            load: async () => (await import('./commands/secret-remove.ts')).secretRemove,
          },
        ],
      },
      {
        name: 'version',
        summary: 'versions of this program and of the gateway',
        load: async () => (await import('./commands/version.ts')).version,
      },
    ],
  },
]
