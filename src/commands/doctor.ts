import type { CommandModule } from 'yargs'
import { checksText, examine } from '../terminal/doctor.js'
import { printResult } from '../terminal/output.js'

interface Flags {
  strict: boolean
}

export const command: CommandModule<object, Flags> = {
  command: 'doctor',
  describe: 'Tell what is installed and what to do about what is missing',
  builder: (yargs) =>
    yargs
      .option('strict', {
        type: 'boolean',
        default: false,
        describe:
          'Exit with code 1 also where something is missing, not only where the main job cannot be done',
      })
      .example('$0 doctor', 'versions, addon, CUDA, training engines, onnxruntime providers')
      .example('$0 doctor --json', 'the same for a program'),
  handler: async ({ strict }) => {
    const checks = await examine()
    printResult(checks, () => checksText(checks))
    const bad = strict ? ['missing', 'broken'] : ['broken']
    if (checks.some((check) => bad.includes(check.state))) process.exitCode = 1
  },
}
