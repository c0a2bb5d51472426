import type { Group } from './command.ts'

/** Every command there is, as the help groups them. */
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
        name: 'local-run',
        summary: 'run one function at an address of its own',
        load: async () => (await import('./commands/local-run.ts')).localRun,
      },
      {
        name: 'gc',
        summary: 'list, and with --yes remove, what dead runs and deleted projects left',
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
        name: 'publish',
        summary: 'build images of functions and push them',
        load: async () => (await import('./commands/publish.ts')).publish,
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
          {
            name: 'pull',
            summary: 'fetch templates of a repository or folder',
            load: async () => (await import('./commands/template-pull.ts')).templatePull,
          },
          {
            name: 'store',
            summary: 'templates that others provide',
            commands: [
              {
                name: 'list',
                aliases: ['ls'],
                summary: 'list templates of the store',
                load: async () => (await import('./commands/template-store-list.ts')).templateStoreList,
              },
              {
                name: 'pull',
                summary: 'fetch a template of the store',
                load: async () => (await import('./commands/template-store-pull.ts')).templateStorePull,
              },
              {
                name: 'describe',
                summary: 'show one template of the store',
                load: async () =>
                  (await import('./commands/template-store-describe.ts')).templateStoreDescribe,
              },
            ],
          },
        ],
      },
      {
        name: 'store',
        summary: 'functions that others provide as images',
        commands: [
          {
            name: 'list',
            aliases: ['ls'],
            summary: 'list functions of the store',
            load: async () => (await import('./commands/store-list.ts')).storeList,
          },
          {
            name: 'describe',
            aliases: ['inspect'],
            summary: 'show one function of the store',
            load: async () => (await import('./commands/store-describe.ts')).storeDescribe,
          },
          {
            name: 'deploy',
            summary: 'deploy a function of the store',
            load: async () => (await import('./commands/store-deploy.ts')).storeDeploy,
          },
        ],
      },
      {
        name: 'diff',
        summary: 'compare the stack file with what is deployed',
        load: async () => (await import('./commands/diff.ts')).diff,
      },
      {
        name: 'generate',
        summary: 'write functions as objects of Kubernetes',
        load: async () => (await import('./commands/generate.ts')).generate,
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
        name: 'debug',
        summary: 'give functions ports for debuggers',
        load: async () => (await import('./commands/debug.ts')).debug,
      },
      {
        name: 'scale',
        summary: 'run another number of replicas of a function',
        load: async () => (await import('./commands/scale.ts')).scale,
      },
      {
        name: 'secret',
        aliases: ['secrets'],
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
            aliases: ['u'],
            summary: 'change a secret',
            load: async () => (await import('./commands/secret-update.ts')).secretUpdate,
          },
          {
            name: 'remove',
            aliases: ['rm', 'delete'],
            summary: 'remove a secret',
            load: async () => (await import('./commands/secret-remove.ts')).secretRemove,
          },
          {
            name: 'apply',
            summary: 'create or change a secret for each file of a folder',
            load: async () => (await import('./commands/secret-apply.ts')).secretApply,
          },
          {
            name: 'generate',
            aliases: ['gen'],
            summary: 'make a random value',
            load: async () => (await import('./commands/secret-generate.ts')).secretGenerate,
          },
        ],
      },
      {
        name: 'namespace',
        aliases: ['ns', 'namespaces'],
        summary: 'namespaces that group functions and secrets',
        commands: [
          {
            name: 'list',
            aliases: ['ls'],
            summary: 'list names of namespaces',
            load: async () => (await import('./commands/namespace-list.ts')).namespaceList,
          },
          {
            name: 'create',
            summary: 'create a namespace',
            load: async () => (await import('./commands/namespace-create.ts')).namespaceCreate,
          },
          {
            name: 'get',
            summary: 'show one namespace',
            load: async () => (await import('./commands/namespace-get.ts')).namespaceGet,
          },
          {
            name: 'update',
            summary: 'change labels and annotations of a namespace',
            load: async () => (await import('./commands/namespace-update.ts')).namespaceUpdate,
          },
          {
            name: 'remove',
            aliases: ['rm', 'delete'],
            summary: 'remove a namespace with all that is in it',
            load: async () => (await import('./commands/namespace-remove.ts')).namespaceRemove,
          },
        ],
      },
      {
        name: 'invocations',
        summary: 'the last invocations of functions, as they were sent and answered',
        load: async () => (await import('./commands/invocations.ts')).invocations,
      },
      {
        name: 'replay',
        summary: 'send an invocation again, and show what is answered differently',
        load: async () => (await import('./commands/replay.ts')).replay,
      },
      {
        name: 'calls',
        summary: 'what became of async calls',
        load: async () => (await import('./commands/calls.ts')).calls,
      },
      {
        name: 'queue',
        summary: 'async calls that wait, or were given up',
        commands: [
          {
            name: 'list',
            aliases: ['ls'],
            summary: 'what is queued, function by function; dead letters',
            load: async () => (await import('./commands/queue.ts')).queueList,
          },
          {
            name: 'show',
            summary: 'show a dead letter with all its attempts',
            load: async () => (await import('./commands/queue.ts')).queueShow,
          },
          {
            name: 'retry',
            summary: 'make dead calls again',
            load: async () => (await import('./commands/queue.ts')).queueRetry,
          },
          {
            name: 'purge',
            summary: 'forget dead calls, or cancel queued ones',
            load: async () => (await import('./commands/queue.ts')).queuePurge,
          },
          {
            name: 'pause',
            summary: 'take no more calls of a function or a queue',
            load: async () => (await import('./commands/queue.ts')).queuePause,
          },
          {
            name: 'resume',
            summary: 'go on where pause stopped',
            load: async () => (await import('./commands/queue.ts')).queueResume,
          },
          {
            name: 'cancel',
            summary: 'end a call that has not ended',
            load: async () => (await import('./commands/queue.ts')).queueCancel,
          },
        ],
      },
      {
        name: 'ready',
        summary: 'wait until the gateway or a function is ready',
        load: async () => (await import('./commands/ready.ts')).ready,
      },
      {
        name: 'login',
        summary: 'log in to a gateway',
        load: async () => (await import('./commands/login.ts')).login,
      },
      {
        name: 'logout',
        summary: 'forget the login to a gateway',
        load: async () => (await import('./commands/logout.ts')).logout,
      },
      {
        name: 'version',
        summary: 'versions of this program and of the gateway',
        load: async () => (await import('./commands/version.ts')).version,
      },
      {
        name: 'completion',
        summary: 'complete command lines in your shell',
        load: async () => (await import('./commands/completion.ts')).completion,
      },
    ],
  },
]
