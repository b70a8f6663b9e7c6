// swift-tools-version: 6.1
import PackageDescription

// Modules form a directed graph without cycles. Each list below names every module that its target imports: the build
// (`--explicit-target-dependency-import-check error`) and Tests/CommandTests/ModuleTests.swift check that.

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let protobuf = Target.Dependency.product(name: "SwiftProtobuf", package: "swift-protobuf")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

// oneDNN only serves as the reference of `quillan bench kernels`. `QUILLAN_ONEDNN=0` leaves it out: packages do, because
// each Debian release has another, incompatible version.
let oneDNN: [Target.Dependency] = Context.environment["QUILLAN_ONEDNN"] == "0" ? [] : ["COneDNN"]

let package = Package(
  name: "quillan",
  products: [
    .library(name: "Quillan", targets: ["Quillan"]),
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
    .target(
      name: "Files",
      dependencies: ["Errors"]),
    .target(
      name: "Formats",
      dependencies: ["Errors", "Files"]),
    .target(
      name: "Telemetry",
      dependencies: ["Files"]),
    .target(
      name: "MPI",
      dependencies: ["CMPI", "Errors", "Files", "Telemetry"]),

    // Numbers.
    .target(
      name: "Tensors",
      dependencies: ["CKernels"]),
    .target(
      name: "LowBit",
      dependencies: ["CKernels", "Errors", "Tensors"]),
    .target(
      name: "Parameters",
      dependencies: ["LowBit", "Tensors"]),
    .target(
      name: "Layers",
      dependencies: ["CKernels", "LowBit", "Parameters", "Tensors"]),
    .target(
      name: "Models",
      dependencies: ["Errors", "Layers", "LowBit", "Parameters", "Tensors"]),

    // The method.
    .target(
      name: "Parallelism",
      dependencies: ["CKernels", "CZstd", "Errors", "Layers", "LowBit", "MPI", "Parameters", "Telemetry", "Tensors"]),
    .target(
      name: "Objectives",
      dependencies: ["Errors"]),
    .target(
      name: "Optimizers",
      dependencies: ["Parameters", "Tensors"]),
    .target(
      name: "Rollouts",
      dependencies: ["Errors", "Formats", "Layers", "LowBit", "Models", "Parameters", "Tensors"],
      resources: [.copy("Resources")]),
    .target(
      name: "Exports",
      dependencies: [
        "CKernels", "CZstd", "Errors", "Files", "Formats", "Layers", "LowBit", "Models", "Parameters", "Tensors",
        protobuf,
      ],
      exclude: ["ONNX/onnx.proto"]),
    .target(
      name: "Checkpoints",
      dependencies: ["CKernels", "CZstd", "Errors", "Files", "Formats", "Tensors"]),
    .target(
      name: "Configuration",
      dependencies: ["Errors", "Files", "Models", "Objectives", "Optimizers", "Parameters", "Rollouts", yams]),
    .target(
      name: "Learning",
      dependencies: [
        "Configuration", "Errors", "Formats", "Layers", "LowBit", "Models", "MPI", "Objectives", "Optimizers",
        "Parallelism", "Parameters", "Rollouts", "Telemetry", "Tensors",
      ]),

    // Around it.
    .target(
      name: "Planning",
      dependencies: [
        "Checkpoints", "Configuration", "Errors", "Formats", "Layers", "Learning", "LowBit", "Models", "Optimizers",
        "Parameters", "Rollouts",
      ]),
    .target(
      name: "Reports",
      dependencies: ["Configuration", "Errors", "Files", "Formats", "Learning", "Rollouts", protobuf],
      exclude: ["TensorBoard/tensorboard.proto"]),
    .target(
      name: "Checks",
      dependencies: [
        "CKernels", "Configuration", "Errors", "Formats", "Layers", "Learning", "LowBit", "Models", "MPI", "Objectives",
        "Parallelism", "Parameters", "Reports", "Rollouts", "Telemetry", "Tensors",
      ]),
    .target(
      name: "Runs",
      dependencies: [
        "CKernels", "Checkpoints", "Checks", "Configuration", "Errors", "Exports", "Files", "Formats", "Layers",
        "Learning", "LowBit", "Models", "MPI", "Objectives", "Optimizers", "Parallelism", "Parameters", "Planning",
        "Reports", "Rollouts", "Telemetry", "Tensors", logging,
      ]),
    .target(
      name: "Diagnostics",
      dependencies: [
        "CKernels", "COpenBLAS", "CZstd", "Configuration", "Errors", "Exports", "Formats", "Layers", "Learning",
        "LowBit", "Models", "MPI", "Objectives", "Optimizers", "Parallelism", "Parameters", "Planning", "Rollouts",
        "Runs", "Tensors",
      ] + oneDNN,
      exclude: ["Benchmarks/\(oneDNN.isEmpty ? "OneDNNProduct" : "OneDNNProduct+Absent").swift"]),
    .target(
      name: "Training",
      dependencies: ["Checks", "Configuration", "Diagnostics", "Errors", "Learning", "Planning", "Reports", "Runs"]),
    // The library's one import. Its folder differs from the program's by more than case.
    .target(
      name: "Quillan",
      dependencies: [
        "Checkpoints", "Errors", "Exports", "Files", "Formats", "Layers", "LowBit", "MPI", "Models", "Objectives",
        "Optimizers", "Parallelism", "Parameters", "Rollouts", "Telemetry", "Tensors", "Training",
      ],
      path: "Sources/QuillanLibrary"),
    .executableTarget(
      name: "quillan",
      dependencies: [
        "CMPI", "Checkpoints", "Configuration", "Diagnostics", "Errors", "Exports", "Files", "Formats", "Learning",
        "LowBit", "Models", "MPI", "Optimizers", "Parallelism", "Planning", "Reports", "Rollouts", "Runs", "Telemetry",
        "Tensors", argumentParser, logging,
      ]),

    // A minimal program that uses the library.
    .executableTarget(
      name: "ExampleTrainStep",
      dependencies: ["Quillan"]),

    // Drives the file readers with a fuzzer (launch/faults fuzz).
    .executableTarget(
      name: "FuzzReaders",
      dependencies: [
        "CKernels", "Checkpoints", "Configuration", "Diagnostics", "Exports", "Files", "Formats", "LowBit", "Models",
        "Planning", "Reports", "Rollouts", "Runs", "Tensors",
      ]),

    // Tests mirror the sources.
    .target(
      name: "TestSupport",
      dependencies: ["Layers", "LowBit", "Models", "Parameters", "Tensors"],
      path: "Tests/TestSupport"),
    .testTarget(
      name: "FilesTests",
      dependencies: ["Files", "TestSupport"]),
    .testTarget(
      name: "FormatsTests",
      dependencies: ["Formats", "TestSupport"]),
    .testTarget(
      name: "MPITests",
      dependencies: ["MPI", "Telemetry"]),
    .testTarget(
      name: "TensorsTests",
      dependencies: ["CKernels", "COpenBLAS", "Tensors", "TestSupport"]),
    .testTarget(
      name: "LowBitTests",
      dependencies: ["LowBit", "Tensors", "TestSupport"]),
    .testTarget(
      name: "LayersTests",
      dependencies: ["Layers", "LowBit", "Models", "Parameters", "Tensors", "TestSupport"]),
    .testTarget(
      name: "ModelsTests",
      dependencies: ["Layers", "LowBit", "Models", "Parameters", "Tensors", "TestSupport"]),
    .testTarget(
      name: "ObjectivesTests",
      dependencies: ["Objectives", "TestSupport"]),
    .testTarget(
      name: "OptimizersTests",
      dependencies: ["CKernels", "Optimizers", "Parameters", "Tensors", "TestSupport"]),
    .target(name: "CAllocations", path: "Tests/CAllocations"),
    .testTarget(
      name: "AllocationTests",
      dependencies: [
        "CAllocations", "Layers", "LowBit", "Models", "MPI", "Objectives", "Optimizers", "Parallelism", "Parameters",
        "Rollouts", "Telemetry", "Tensors", "TestSupport", "Training",
      ]),
    .testTarget(
      name: "RolloutsTests",
      dependencies: ["Formats", "Layers", "LowBit", "Models", "Parameters", "Rollouts", "Tensors", "TestSupport"]),
    .testTarget(
      name: "ExportsTests",
      dependencies: [
        "CKernels", "Errors", "Exports", "Formats", "LowBit", "Models", "Parameters", "Tensors", "TestSupport",
      ]),
    .testTarget(
      name: "CheckpointsTests",
      dependencies: ["CKernels", "Checkpoints", "Files", "Formats", "MPI", "TestSupport"]),
    .target(
      name: "TrainingSupport",
      dependencies: ["LowBit", "Models", "MPI", "Parameters", "Rollouts", "Training"],
      path: "Tests/TrainingSupport"),
    .testTarget(
      name: "ConfigurationTests",
      dependencies: ["Configuration", "LowBit", "Models", "Objectives", "Rollouts", "TestSupport"]),
    .testTarget(
      name: "PlanningTests",
      dependencies: ["Configuration", "Formats", "Models", "Planning", "Rollouts"]),
    .testTarget(
      name: "ReportsTests",
      dependencies: ["Configuration", "Errors", "Formats", "Learning", "Reports", "Rollouts", protobuf]),
    .testTarget(
      name: "ChecksTests",
      dependencies: [
        "Checks", "Configuration", "Learning", "LowBit", "Models", "MPI", "Parameters", "Rollouts", "TrainingSupport",
      ]),
    .testTarget(
      name: "DiagnosticsTests",
      dependencies: ["Diagnostics", "Exports", "Formats", "Parallelism", "Tensors", "TestSupport", "TrainingSupport"]),
    .testTarget(
      name: "LearningTests",
      dependencies: [
        "CAllocations", "Layers", "LowBit", "Models", "MPI", "Objectives", "Optimizers", "Parallelism", "Parameters",
        "Rollouts", "Telemetry", "Tensors", "TestSupport", "Training", "TrainingSupport",
      ]),
    .testTarget(
      name: "RunsTests",
      dependencies: [
        "Checkpoints", "Formats", "LowBit", "Models", "MPI", "Parallelism", "Parameters", "Rollouts", "TestSupport",
        "Training", "TrainingSupport",
      ]),
    .testTarget(
      name: "CommandTests",
      dependencies: ["Errors", "quillan", "Tensors", "TestSupport"]),
  ],
  swiftLanguageModes: [.v6]
)
