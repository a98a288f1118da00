/** Files of weights that people have: TensorFlow's, PyTorch's, ONNX's, safetensors; and the backbones that they fit. */
export { openWeights } from './open.js'
export type { FileTensor, WeightsFile } from './types.js'
export { fitBackbone, isWhole, namesOf, readBackbone } from './fit.js'
export { convertWeights, describeWeights } from './describe.js'
export type { Converted, Description } from './describe.js'
