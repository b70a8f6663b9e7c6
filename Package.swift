// swift-tools-version: 6.1
import PackageDescription

// Modules form a strict DAG; each list below names every module its target imports
// (`swift build --explicit-target-dependency-import-check error` proves it).

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
  name: "quillan",
  products: [
    .library(
      name: "QuillanTraining",
      targets: [
        "Errors", "Files", "MPI", "Tensors", "LowBit", "Parameters", "Layers", "Models", "Parallelism",
        "Rollouts", "Objectives", "Optimizers", "Exports", "Checkpoints", "Configuration",
        "Learning", "Planning", "Reports", "Checks", "Runs", "Diagnostics", "Training",
      ]),
    .executable(name: "quillan", targets: ["quillan"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // System libraries.
    .systemLibrary(name: "CMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev"])]),
    .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "COneDNN", providers: [.apt(["libdnnl-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),

    // Kernels, files, and the message-passing wrapper.
    .target(name: "CKernels"),
    .target(name: "Errors"),
    .target(name: "Files", dependencies: ["Errors"]),
    .target(name: "MPI", dependencies: ["CMPI", "Errors", "Files"]),

    // Numbers.
    .target(name: "Tensors", dependencies: ["CKernels"]),
    .target(name: "LowBit", dependencies: ["CKernels", "Errors", "Tensors"]),
    .target(name: "Parameters", dependencies: ["Tensors", "LowBit"]),
    .target(name: "Layers", dependencies: ["CKernels", "Tensors", "LowBit", "Parameters"]),
    .target(name: "Models", dependencies: ["CKernels", "Errors", "Tensors", "LowBit", "Parameters", "Layers"]),

    // The method.
    .target(
      name: "Parallelism",
      dependencies: ["CKernels", "CZstd", "Errors", "MPI", "Tensors", "LowBit", "Parameters", "Layers", "Models"]),
    .target(name: "Objectives", dependencies: ["CKernels", "Errors", "Tensors"]),
    .target(name: "Optimizers", dependencies: ["CKernels", "Tensors", "Parameters"]),
    .target(
      name: "Rollouts",
      dependencies: ["CKernels", "Errors", "Tensors", "LowBit", "Parameters", "Layers", "Models"],
      resources: [.copy("Resources")]),
    .target(
      name: "Exports",
      dependencies: [
        "CKernels", "CZstd", "Errors", "Files", "Tensors", "LowBit", "Parameters", "Layers", "Models", protobuf,
      ],
      exclude: ["ONNX/onnx.proto"]),
    .target(name: "Checkpoints", dependencies: ["CKernels", "CZstd", "Errors", "Files", "Exports"]),
    .target(
      name: "Configuration",
      dependencies: ["Errors", "Files", "Models", "Objectives", "Optimizers", "Parameters", "Rollouts", yams]),
    .target(
      name: "Learning",
      dependencies: [
        "Configuration", "Errors", "Layers", "LowBit", "MPI", "Models", "Objectives", "Optimizers", "Parallelism",
        "Parameters", "Rollouts", "Tensors",
      ]),

    // Around it.
    .target(
      name: "Planning",
      dependencies: [
        "Checkpoints", "Configuration", "Errors", "Layers", "Learning", "LowBit", "Models", "Optimizers", "Parameters",
        "Rollouts",
      ]),
    .target(
      name: "Reports",
      dependencies: ["Configuration", "Errors", "Files", "Learning", "Rollouts", protobuf],
      exclude: ["TensorBoard/tensorboard.proto"]),
    .target(
      name: "Checks",
      dependencies: [
        "CKernels", "Configuration", "Errors", "Layers", "Learning", "LowBit", "MPI", "Models", "Objectives",
        "Parallelism", "Parameters", "Reports", "Rollouts", "Tensors",
      ]),
    .target(
      name: "Runs",
      dependencies: [
        "CKernels", "Checkpoints", "Checks", "Configuration", "Errors", "Exports", "Files", "Layers", "Learning",
        "LowBit", "MPI", "Models", "Objectives", "Optimizers", "Parallelism", "Parameters", "Planning", "Reports",
        "Rollouts", "Tensors", logging,
      ]),
    .target(
      name: "Diagnostics",
      dependencies: [
        "CKernels", "COneDNN", "COpenBLAS", "CZstd", "Configuration", "Errors", "Exports", "Layers", "Learning",
        "LowBit", "MPI", "Models", "Objectives", "Optimizers", "Parallelism", "Parameters", "Planning", "Reports",
        "Rollouts", "Runs", "Tensors",
      ]),
    .target(
      name: "Training",
      dependencies: [
        "Checks", "Configuration", "Diagnostics", "Errors", "Learning", "Planning", "Reports", "Runs",
      ]),
    .executableTarget(
      name: "quillan",
      dependencies: [
        "CMPI", "Checkpoints", "Configuration", "Diagnostics", "Errors", "Exports", "Files", "Learning", "LowBit",
        "MPI", "Models", "Objectives", "Parallelism", "Planning", "Reports", "Rollouts", "Runs", "Tensors",
        argumentParser, logging,
      ]),

    // A minimal program that uses the library.
    .executableTarget(name: "ExampleTrainStep", dependencies: ["MPI", "Models", "Rollouts", "Training"]),

    // Drives the file readers with a fuzzer (launch/faults fuzz).
    .executableTarget(
      name: "FuzzReaders",
      dependencies: [
        "CKernels", "Checkpoints", "Configuration", "Diagnostics", "Exports", "Files", "LowBit", "Models", "Planning",
        "Reports", "Rollouts", "Runs", "Tensors",
      ]),

    // Tests mirror the sources.
    .target(
      name: "TestSupport", dependencies: ["Tensors", "LowBit", "Parameters", "Layers", "Models"],
      path: "Tests/TestSupport"),
    .testTarget(name: "FilesTests", dependencies: ["Files"]),
    .testTarget(name: "MPITests", dependencies: ["MPI"]),
    .testTarget(name: "TensorsTests", dependencies: ["CKernels", "COpenBLAS", "Tensors", "TestSupport"]),
    .testTarget(name: "LowBitTests", dependencies: ["CKernels", "Tensors", "LowBit", "TestSupport"]),
    .testTarget(
      name: "LayersTests",
      dependencies: ["CKernels", "Tensors", "LowBit", "Parameters", "Layers", "Models", "TestSupport"]),
    .testTarget(
      name: "ModelsTests",
      dependencies: ["CKernels", "Tensors", "LowBit", "Parameters", "Layers", "Models", "TestSupport"]),
    .testTarget(name: "ObjectivesTests", dependencies: ["Tensors", "Objectives", "TestSupport"]),
    .testTarget(
      name: "OptimizersTests",
      dependencies: ["CKernels", "Tensors", "LowBit", "Optimizers", "Parameters", "TestSupport"]),
    .target(name: "CAllocations", path: "Tests/CAllocations"),
    .testTarget(
      name: "AllocationTests",
      dependencies: [
        "CAllocations", "MPI", "Tensors", "LowBit", "Parameters", "Layers", "Models", "Parallelism", "Rollouts",
        "Objectives", "Optimizers", "Training", "TestSupport",
      ]),
    .testTarget(
      name: "RolloutsTests",
      dependencies: ["Tensors", "LowBit", "Parameters", "Layers", "Models", "Rollouts", "TestSupport"]),
    .testTarget(
      name: "ExportsTests",
      dependencies: ["CKernels", "Tensors", "LowBit", "Parameters", "Models", "Exports", "TestSupport"]),
    .testTarget(
      name: "CheckpointsTests", dependencies: ["CKernels", "CZstd", "Files", "Exports", "Checkpoints", "TestSupport"]),
    .testTarget(
      name: "TrainingTests",
      dependencies: [
        "CAllocations", "Files", "MPI", "Tensors", "LowBit", "Parameters", "Layers", "Models", "Parallelism",
        "Rollouts", "Objectives", "Optimizers", "Exports", "Checkpoints", "Training", "TestSupport", protobuf,
      ]),
    .testTarget(name: "CommandTests", dependencies: ["quillan", "TestSupport"]),
  ],
  swiftLanguageModes: [.v6]
)
