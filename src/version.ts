import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

function findPackageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  for (;;) {
    try {
      const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: string }
      if (manifest.name === 'nodule') return folder
    } catch {
      // not here: look one folder up
    }
    const parent = dirname(folder)
    if (parent === folder) throw new Error('the package.json of nodule is missing above ' + import.meta.url)
    folder = parent
  }
}

/** The package's root folder: the one that holds package.json, hypes/ and the addon's build folder. */
export const PACKAGE_ROOT = findPackageRoot()

/** What scripts/write-commit.mjs left beside the compiled files: a commit, "-dirty" behind it where files differed. */
function readCommit(): string | undefined {
  // Run from TypeScript (tests): what runs is no build, and may be no commit either.
  if (import.meta.url.endsWith('.ts')) return undefined
  try {
    const text = readFileSync(new URL('../commit', import.meta.url), 'utf8').trim()
    return /^[0-9a-f]{7,64}(-dirty)?$/.test(text) ? text : undefined
  } catch {
    // Built without git.
    return undefined
  }
}

/** `0.1.0+3f2a1b9c0d1e-dirty`, in the notation of semantic versioning; `0.1.0` where no commit is known. */
export function versionText(version: string, commit: string | undefined): string {
  return commit === undefined ? version : `${version}+${commit}`
}

/**
 * The code version that every checkpoint, model, data set, detection and report records: the package's version and,
 * where it was built from a git checkout, the commit. "-dirty" tells that a source file differed from that commit.
 */
export const VERSION = versionText(
  (JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as { version: string }).version,
  readCommit(),
)
