/** Files of weights that people have: TensorFlow's, PyTorch's, ONNX's, safetensors; and the backbones that they fit. */
export { openWeights } from './open.js'
export type { FileTensor, NumberType, WeightsFile } from './types.js'
export { fitAll, fitBackbone, isWhole, namesOf, readBackbone } from './fit.js'
export type { Fit } from './fit.js'
export { convertWeights, describeWeights } from './describe.js'
export type { Converted, Description } from './describe.js'
