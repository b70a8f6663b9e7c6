// One import for programs that use the library: every module of it but the C kernels.

@_exported import Checkpoints
@_exported import Errors
@_exported import Exports
@_exported import Files
@_exported import Formats
@_exported import Layers
@_exported import LowBit
@_exported import MPI
@_exported import Models
@_exported import Objectives
@_exported import Optimizers
@_exported import Parallelism
@_exported import Parameters
@_exported import Rollouts
@_exported import Telemetry
@_exported import Tensors
@_exported import Training
