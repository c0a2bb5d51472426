/** Folders that hold nothing that was written by hand. */
const FOLDERS: ReadonlySet<string> = new Set([
  // version control
  '.git',
  '.hg',
  '.svn',
  '.jj',
  // what package managers put there
  'node_modules',
  'bower_components',
  '.venv',
  // what compilers, test runners and linters keep
  '__pycache__',
  '.pytest_cache',
  '.mypy_cache',
  '.ruff_cache',
  '.tox',
  '.nox',
  '.nyc_output',
  '.gradle',
  '.parcel-cache',
  '.turbo',
  // what editors keep
  '.idea',
  '.vscode',
  '.vs',
])

/** What editors and others put beside a file while they save it, and what desktops and file systems leave behind. */
const FILES: readonly RegExp[] = [
  /~$/, // backups of Emacs, Kate, gedit; Vim's with `backup`
  /^\.(.*\.)?sw[a-px]$/, // Vim's and nano's swap files
  /^4913$/, // Vim's try whether a folder can be written; the numbers after it are taken when it is not free
  /^\.#/, // Emacs' locks
  /^#.*#$/, // Emacs' own saves
  /___jb_(tmp|old)___$/, // JetBrains
  /^\.goutputstream-/, // GNOME
  /\.kate-swp$/,
  /^\.~lock\..*#$/, // LibreOffice
  /^sed[A-Za-z0-9]{6}$/, // sed -i
  /\.tmp(\.\d+(\.[\da-z]+)?)?$/, // Sublime Text's, and what many programs rename afterwards
  /\.bak$/,
  /^\.(nfs|fuse_hidden)[\da-f]+$/, // a file that was removed while somebody had it open
  /^(\.DS_Store|Thumbs\.db|desktop\.ini)$/,
]

/** Files by which a folder says that a program made all that is in it: caches (bford.info/cachedir), Python's venvs. */
const MADE_BY_PROGRAM: readonly string[] = ['CACHEDIR.TAG', 'pyvenv.cfg']

/** Whether a file or folder of that name is nobody's work: editors' temporary files, `.git`, `node_modules`, caches. */
export function isNoise(name: string): boolean {
  return FOLDERS.has(name) || FILES.some((pattern) => pattern.test(name))
}

/** Whether a folder with these names in it is build output: it says so itself. */
export function isBuildOutput(names: { has(name: string): boolean }): boolean {
  return MADE_BY_PROGRAM.some((name) => names.has(name))
}
