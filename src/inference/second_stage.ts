import type { Calibration, PatchMetadata } from '../onnx/patch_metadata.js'
import type { CubeSpec, Mirror } from '../patches/index.js'

/** A classifier of cubes, ready to run. */
export interface PatchSession {
  path: string
  /** Of the model file. */
  sha256: string
  metadata: PatchMetadata
  spec: CubeSpec
  /**
   * Logits of 'nodule', means over mirror images, for cubes of `spec`, uint8 [n, planes, size, size].
   * @param views default `VIEWS`
   * @throws NoduleError (NUMERIC) where the model fails or gives no numbers
   */
  run: (cubes: Uint8Array, views?: readonly Mirror[]) => Promise<Float32Array>
  release: () => Promise<void>
}

/** A second stage that is fitted to the first stage beside it. */
export interface SecondStage extends PatchSession {
  calibration: Calibration
}
