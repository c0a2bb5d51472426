import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { EngineAddress } from '../docker/engine-address.ts'
import { buildImage } from '../docker/engine-images.ts'
import type { Announce } from './announce.ts'
import { parseImageName } from './image-name.ts'
import { ensureStandInBase, STAND_IN_BASE, STAND_IN_LABEL } from './stand-in-base.ts'
import { recipeFor } from './stand-in-recipe.ts'
import type { Recipe } from './recipe.ts'

export interface StandIn {
  readonly image: string
  /** What it really is; undefined when none can be made for that name. */
  readonly what: string | undefined
}

/**
 * Makes an image under each of `images`' names out of what package registries have: a Debian base and the language
 * on it. Names that mean the same version share one image, and all share the base's layer. Needs root on Debian or
 * Ubuntu. SETUP_FAILED, ENGINE_FAILED.
 */
export async function makeStandIns(
  engine: EngineAddress,
  images: readonly string[],
  env: NodeJS.ProcessEnv,
  announce: Announce,
): Promise<StandIn[]> {
  const wanted = new Map<string, { recipe: Recipe; images: string[] }>()
  const made: StandIn[] = []
  for (const image of images) {
    const recipe = await recipeFor(parseImageName(image))
    made.push({ image, what: recipe?.what })
    if (!recipe) continue
    const group = wanted.get(recipe.id) ?? { recipe, images: [] }
    group.images.push(image)
    wanted.set(recipe.id, group)
  }
  if (wanted.size > 0) await ensureStandInBase(engine, env, announce)
  for (const { recipe, images: names } of wanted.values()) {
    announce(`Making a stand-in for ${names.join(', ')}: ${recipe.what}`)
    await make(engine, recipe, names)
  }
  return made
}

async function make(engine: EngineAddress, recipe: Recipe, names: readonly string[]): Promise<void> {
  const folder = await mkdtemp('/var/tmp/faasdock-stand-in-')
  try {
    await recipe.fill?.(folder)
    const lines = [
      `FROM ${STAND_IN_BASE}`,
      `LABEL ${STAND_IN_LABEL}=${JSON.stringify(recipe.what)}`,
      ...recipe.steps,
    ]
    await writeFile(join(folder, 'Dockerfile'), `${lines.join('\n')}\n`)
    const tar = spawn('tar', ['-C', folder, '--owner=0', '--group=0', '-c', '.'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await buildImage(engine, tar.stdout, { tags: names })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
