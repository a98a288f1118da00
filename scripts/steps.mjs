// Steps that say what they do; shared by setup, test, check and demo. Plain JavaScript: they run before `npm ci`.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** Runs a command in the repository's root with its output shown; ends the process with its code when it fails. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options })
  if (result.error) fail(`cannot run ${command}: ${result.error.message}`)
  if (result.signal) process.exit(130)
  if (result.status !== 0) {
    console.error(`\n${command} ${args.join(' ')} ended with code ${result.status}`)
    process.exit(result.status ?? 1)
  }
}

/** Runs a command quietly: its trimmed output, or undefined where it fails. */
export function capture(command, args) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8' })
  return result.status === 0 ? result.stdout.trim() : undefined
}

export function say(text) {
  console.log(`\n== ${text}`)
}

export function fail(text) {
  console.error(text)
  process.exit(1)
}
