import type { ImageName } from './image-name.ts'
import type { Recipe } from './recipe.ts'

/** `python:3…`: Debian's python3, whichever 3.x was asked for. */
export function pythonRecipe(name: ImageName): Recipe | undefined {
  if (name.repository !== 'python' || !/^(3([.-]|$)|latest$|slim|alpine|bookworm)/.test(name.tag))
    return undefined
  return {
    id: 'python3',
    what: 'Debian bookworm with its own python3 3.11',
    steps: [
      [
        'RUN apt-get update',
        'apt-get install -y --no-install-recommends python3 python3-pip python3-venv',
        'rm -rf /var/lib/apt/lists/*',
        // Debian's python refuses `pip install`; the image it stands in for does not.
        'rm -f /usr/lib/python3*/EXTERNALLY-MANAGED',
        'for name in python3 pip3; do ln -s "/usr/bin/$name" "/usr/local/bin/$name"; done',
        'ln -s python3 /usr/local/bin/python',
        'ln -s pip3 /usr/local/bin/pip',
      ].join(' && '),
      'ENV LANG=C.UTF-8',
      'CMD ["python3"]',
    ],
  }
}
