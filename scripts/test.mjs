// npm test [-- VITEST ARGUMENTS]: the set-up, then the tests.
import { run, say } from './steps.mjs'

run(process.execPath, ['scripts/setup.mjs'])
say('tests')
run(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...process.argv.slice(2)])
