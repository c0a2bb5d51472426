import type { ImageName } from './image-name.ts'
import { golangRecipe } from './stand-in-golang.ts'
import { natsRecipe } from './stand-in-nats.ts'
import { nodeRecipe } from './stand-in-node.ts'
import { pythonRecipe } from './stand-in-python.ts'
import type { Recipe } from './recipe.ts'

/** The plain base, for Debian and for the tiny images that only a shell is asked of. */
function plainRecipe(name: ImageName): Recipe | undefined {
  if (!['debian', 'alpine', 'busybox'].includes(name.repository)) return undefined
  const instead = name.repository === 'debian' ? '' : `, instead of ${name.repository}`
  return { id: `debian${instead}`, what: `Debian bookworm (debootstrap, minbase)${instead}`, steps: [] }
}

/** The recipe for an image name; undefined when no stand-in can be made for it. */
export async function recipeFor(name: ImageName): Promise<Recipe | undefined> {
  if (name.digest !== undefined) return undefined
  for (const recipe of [nodeRecipe, pythonRecipe, golangRecipe, natsRecipe, plainRecipe]) {
    const found = await recipe(name)
    if (found) return found
  }
  return undefined
}
