import type { ImageName } from './image-name.ts'
import type { Recipe } from './recipe.ts'

/** `nats:2…`: Debian's nats-server, whichever 2.x was asked for; its arguments are those of the official image. */
export function natsRecipe(name: ImageName): Recipe | undefined {
  if (name.repository !== 'nats' || !/^(2([.-]|$)|latest$|alpine|scratch|linux)/.test(name.tag))
    return undefined
  return {
    id: 'nats-server',
    what: 'Debian bookworm with its own nats-server 2.9',
    steps: [
      [
        'RUN apt-get update',
        'apt-get install -y --no-install-recommends nats-server',
        'rm -rf /var/lib/apt/lists/*',
        'ln -s /usr/sbin/nats-server /usr/local/bin/nats-server',
      ].join(' && '),
      'EXPOSE 4222 8222 6222',
      'ENTRYPOINT ["nats-server"]',
    ],
  }
}
