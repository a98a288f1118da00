import { csvCell } from '../../clean.js'
import { dropIntermediate } from './froc.js'
import type { ScanEvaluation } from './scans.js'

/** What the official script puts in for a nodule without a hit. */
const NO_HIT = -1e9

/**
 * The text files that LUNA16's official script writes, by name, so that a study can be compared with it line by line:
 * `CADAnalysis.txt`, `froc_NAME.txt`, `froc_gt_prob_vectors_NAME.csv`, `nodulesWithoutCandidate_NAME.txt` and, with a
 * bootstrap, `froc_NAME_bootstrapping.csv`.
 * Source: noduleCADEvaluationLUNA16.py and the example of its output.
 */
export function officialFiles(evaluation: ScanEvaluation, name: string): Record<string, string> {
  const { counts, scans, bootstrap } = evaluation
  const nine = (value: number): string => value.toFixed(9)
  const stars = '*'.repeat(60)
  const analysis = [
    '',
    stars,
    `CAD Analysis: ${name}`,
    stars,
    '',
    'Candidate detection results:',
    `    True positives: ${counts.tp}`,
    `    False positives: ${counts.fp}`,
    `    False negatives: ${counts.fn}`,
    '    True negatives: 0',
    `    Total number of candidates: ${counts.marks}`,
    `    Total number of nodules: ${counts.nodules}`,
    `    Ignored candidates on excluded nodules: ${counts.onExcluded}`,
    `    Ignored candidates which were double detections on a nodule: ${counts.doubleHits}`,
    `    Sensitivity: ${counts.nodules === 0 ? '0.0' : nine(counts.tp / counts.nodules)}`,
    `    Average number of candidates per scan: ${nine(counts.marks / scans)}`,
  ]
  const curve = dropIntermediate(evaluation.froc, scans, counts.nodules)
  // The point at (0, 0) that is added has the best score + 1.
  const first = (curve[1]?.threshold ?? 0) + 1
  // The script's sensitivity is 0 where there is none.
  const froc = curve.map((point) =>
    [point.falsePositivesPerScan, point.sensitivity ?? 0, point.threshold ?? first].map(nine).join(','),
  )
  const missed = evaluation.findings
    .filter((finding) => finding.score === null)
    .map(
      ({ seriesUid, x, y, z, equivalentDiameterMm }) =>
        `${csvCell(seriesUid)},None,${x},${y},${z},${nine(equivalentDiameterMm)},-1`,
    )
  const files: Record<string, string[]> = {
    'CADAnalysis.txt': analysis,
    [`froc_${name}.txt`]: froc,
    [`froc_gt_prob_vectors_${name}.csv`]: evaluation.vectors.map(
      ({ nodule, score }) => `${nodule ? 1 : 0},${nine(score ?? NO_HIT)}`,
    ),
    [`nodulesWithoutCandidate_${name}.txt`]: missed,
  }
  if (bootstrap !== null) {
    files[`froc_${name}_bootstrapping.csv`] = [
      // The script's spelling.
      'FPrate,Sensivity[Mean],Sensivity[Lower bound],Sensivity[Upper bound]',
      ...bootstrap.falsePositivesPerScan.map((rate, i) =>
        [rate, bootstrap.mean[i]!, bootstrap.low[i]!, bootstrap.high[i]!].map(nine).join(','),
      ),
    ]
  }
  return Object.fromEntries(
    Object.entries(files).map(([file, lines]) => [file, lines.map((line) => `${line}\n`).join('')]),
  )
}
