import Formats

/// The table of contents of a checkpoint: `manifest.json`.
///
/// The text is canonical: equal manifests have equal bytes. The first member is the XXH64 of everything after it.
public struct Manifest: Sendable, Equatable {
  /// The version of the format that this program reads and writes.
  public static let version = 1

  /// Consecutive elements of a tensor in a file.
  public struct Slice: Sendable, Equatable, Codable {
    /// Elements of the tensor, row-major.
    public var range: Range<Int>
    /// 0 if several ranks held these elements, or r + 1 if only rank r did; it decides the file (`Placement`).
    public var part: Int
    /// Index into `files`.
    public var file: Int
    /// The first byte in the file, and the number of bytes.
    public var offset: Int
    public var bytes: Int
    public var encoding: FrameEncoding
    /// XXH64 of the stored bytes.
    public var hash: UInt64
  }

  /// A stored tensor.
  public struct Tensor: Sendable, Equatable {
    public var key: TensorKey
    public var type: SafetensorsDataType
    public var shape: [Int]
    /// Slices in the order of their elements; together they are the tensor, each element once.
    public var slices: [Slice]

    /// The number of elements; validation has checked that the product does not overflow.
    public var count: Int { shape.reduce(1, *) }
    public var byteCount: Int { count * type.byteCount }
    public var storedByteCount: Int { slices.reduce(0) { $0 + $1.bytes } }
  }

  /// A file of slices.
  public struct File: Sendable, Equatable, Codable {
    public var name: String
    public var byteCount: Int

    public init(name: String, byteCount: Int) {
      self.name = name
      self.byteCount = byteCount
    }
  }

  /// The version of the program that wrote the checkpoint.
  public var program: String
  /// `train`, `pretrain`, or `weights` for a checkpoint of masters alone.
  public var phase: String
  /// Optimizer steps done.
  public var step: Int
  /// The number of ranks of the run, and of one of its expert groups.
  public var ranks: Int
  public var expertParallel: Int
  /// The number of files that hold the mini-MoEs; 0 if everything is in one file.
  public var expertFiles: Int
  /// Whole numbers of the run by name: data cursor, updates done, the step of the policy replica, and so on.
  public var counters: [String: Int]
  /// The run's complete configuration as YAML.
  public var configuration: String
  public var files: [File] = []
  /// By key, ascending.
  public var tensors: [Tensor] = []

  public init(
    program: String, phase: String, step: Int, ranks: Int, expertParallel: Int, expertFiles: Int,
    counters: [String: Int], configuration: String
  ) {
    self.program = program
    self.phase = phase
    self.step = step
    self.ranks = ranks
    self.expertParallel = expertParallel
    self.expertFiles = expertFiles
    self.counters = counters
    self.configuration = configuration
  }

  /// The tensor of a key, by binary search.
  public func tensor(_ key: TensorKey) -> Tensor? {
    var (low, high) = (0, tensors.count)
    while low < high {
      let middle = (low + high) / 2
      if tensors[middle].key == key { return tensors[middle] }
      if tensors[middle].key < key { low = middle + 1 } else { high = middle }
    }
    return nil
  }

  /// Bytes of all files.
  public var storedByteCount: Int { files.reduce(0) { $0 + $1.byteCount } }
}
