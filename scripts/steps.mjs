// Steps that say what they do; shared by setup, test, check and demo. Plain JavaScript: they run before `npm ci`.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
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

/** As run, beside other work, which may have to end first: resolves to the code that the process is to end with. */
export function start(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit' })
    child.on('error', (error) => {
      console.error(`cannot run ${command}: ${error.message}`)
      resolve(1)
    })
    child.on('close', (code, signal) => {
      if (signal === null && code !== 0)
        console.error(`\n${command} ${args.join(' ')} ended with code ${code}`)
      resolve(signal === null ? code : 130)
    })
  })
}

/** Runs a command quietly: its trimmed output, or undefined where it fails. */
export function capture(command, args) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8' })
  return result.status === 0 ? result.stdout.trim() : undefined
}

/** Whether a program is on the PATH. */
export function has(command) {
  return capture('sh', ['-c', `command -v ${command}`]) !== undefined
}

export function say(text) {
  console.log(`\n== ${text}`)
}

export function fail(text) {
  console.error(text)
  process.exit(1)
}

/** The folder that --output names, which may be missing; ends the process where it is a file. */
export function outputFolder(name) {
  const folder = resolve(name)
  if (existsSync(folder) && !statSync(folder).isDirectory())
    fail(`${folder} is a file: name a folder by --output`)
  return folder
}

/** What `nodule doctor` finds. */
export function doctor() {
  return JSON.parse(
    spawnSync(process.execPath, ['dist/src/cli.js', 'doctor', '--json'], { cwd: root, encoding: 'utf8' })
      .stdout || '[]',
  )
}

/** Says what is missing on this machine and what to do about it; returns the names of what is missing. */
export function printMissing() {
  const missing = doctor().filter(({ state }) => state === 'missing' || state === 'broken')
  if (missing.length > 0) console.log('missing on this machine (nodule doctor tells all):')
  for (const { what, detail, advice } of missing) {
    console.log(`- ${what}: ${detail}`)
    if (advice !== undefined) console.log(`    ${advice}`)
  }
  return missing.map(({ what }) => what)
}
