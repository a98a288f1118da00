import { readList } from '../dataset/list.js'
import { writeFileAtomic } from '../files.js'
import { VERSION } from '../version.js'
import { evaluateSlices } from './slices.js'
import type { SliceEvaluation, SliceOptions } from './slices.js'

export interface SliceFilesEvaluation extends SliceEvaluation {
  /** The files and the code that the figures come from. */
  source: { truth: string; predictions: string; codeVersion: string }
}

/**
 * Evaluates a TensorBox list of predictions against one of true boxes, and writes the result as JSON where `output`
 * is given. Throws NoduleError (FILE, FORMAT) as `readList` and `evaluateSlices` do.
 */
export async function evaluateListFiles(
  truthPath: string,
  predictionsPath: string,
  options: SliceOptions & { output?: string | undefined } = {},
): Promise<SliceFilesEvaluation> {
  const truth = readList(truthPath)
  const predictions = readList(predictionsPath)
  const { output, ...rest } = options
  const evaluation = evaluateSlices(truth.entries, predictions.entries, {
    ...rest,
    truthDir: truth.dir,
    predictionsDir: predictions.dir,
    truthName: truthPath,
    predictionsName: predictionsPath,
  })
  const result: SliceFilesEvaluation = {
    ...evaluation,
    warnings: [...truth.warnings, ...predictions.warnings, ...evaluation.warnings],
    source: { truth: truthPath, predictions: predictionsPath, codeVersion: VERSION },
  }
  if (output !== undefined) await writeFileAtomic(output, `${JSON.stringify(result)}\n`)
  return result
}
