internal import CMPI

/// A group of ranks that exchange data with each other only.
///
/// Collective calls (everything but send, receive and probe) must be made by all ranks of the communicator, in the
/// same order. MPI runs with `MPI_THREAD_MULTIPLE`, so any thread may call; two threads of a rank must not be in
/// collectives of the same communicator at once: give each thread its own by `duplicate()`. Two threads in MPI at once hung
/// in Open MPI 4.1.4 where ranks share a machine, so the trainer calls it from one.
///
/// Counts are in elements and may exceed 2³¹ − 1, the limit of MPI's own calls: larger transfers are split.
///
/// `FlightRecorder` sees every collective. Their parameters `file` and `line` say where it was called; leave them out.
public final class Communicator: @unchecked Sendable {
  /// This process's place, 0 ..< size.
  public let rank: Int
  /// The number of ranks.
  public let size: Int

  /// The largest tag of a message: what every MPI guarantees.
  public static let largestTag = 32_767

  let handle: MPI_Comm?
  /// What the flight recorder knows of it.
  let log: CommunicatorLog
  /// The most elements that one MPI call may name; tests lower it to see transfers split.
  package let countLimit: Int
  /// What blocking exchanges describe their blocks with; the first one makes it. At most one is under way at a time.
  lazy var exchangeSides = ExchangeSides(size: size)
  /// The same of blocking gatherings.
  lazy var gatherArguments = IntegerArguments(size: size)
  /// The communicator that frees the handle, where that is another one.
  private let owner: Communicator?
  private let freesHandle: Bool

  /// Takes a handle that MPI has just made, and makes its errors return instead of ending the process.
  ///
  /// - Parameter parent: the communicator it was made from; nil for the world.
  init(adopting handle: MPI_Comm?, from parent: Communicator?) throws(MPIError) {
    try check(MPI_Comm_set_errhandler(handle, cmpi_errors_return()), "MPI_Comm_set_errhandler")
    var rank: Int32 = 0
    var size: Int32 = 0
    try check(MPI_Comm_rank(handle, &rank), "MPI_Comm_rank")
    try check(MPI_Comm_size(handle, &size), "MPI_Comm_size")
    self.handle = handle
    self.rank = Int(rank)
    self.size = Int(size)
    freesHandle = parent != nil
    log = try CommunicatorLog(handle, parent: parent?.log)
    countLimit = Int(Int32.max)
    owner = nil
  }

  private init(_ other: Communicator, countLimit: Int) {
    precondition(1...Int(Int32.max) ~= countLimit, "count limit \(countLimit) is not in 1 ... \(Int32.max)")
    handle = other.handle
    log = other.log
    rank = other.rank
    size = other.size
    self.countLimit = countLimit
    owner = other
    freesHandle = false
  }

  /// The same communicator, splitting transfers of more than `limit` elements.
  package func splittingTransfers(above limit: Int) -> Communicator { Communicator(self, countLimit: limit) }

  deinit {
    guard freesHandle, Environment.isRunning else { return }
    var handle = handle
    MPI_Comm_free(&handle)
  }
}

extension Communicator {
  /// A communicator of the same ranks whose messages never meet those of this one. Collective.
  public func duplicate(file: StaticString = #fileID, line: Int = #line) throws(MPIError) -> Communicator {
    var copy: MPI_Comm?
    try recorded(.duplicate, 0, nil, CallSite(file, line)) { () throws(MPIError) in
      try check(MPI_Comm_dup(handle, &copy), "MPI_Comm_dup")
    }
    return try Communicator(adopting: copy, from: self)
  }

  /// Splits the ranks into one communicator per `color`, ordered by `key`, then by rank. Collective.
  ///
  /// - Returns: the communicator of this rank's color; nil where `color` is nil.
  public func split(
    color: Int?, key: Int, file: StaticString = #fileID, line: Int = #line
  ) throws(MPIError) -> Communicator? {
    precondition(color.map { 0...Int(Int32.max) ~= $0 } ?? true, "color \(color ?? 0) is not in 0 ... \(Int32.max)")
    var part: MPI_Comm?
    try recorded(.split, 0, nil, CallSite(file, line)) { () throws(MPIError) in
      let code = MPI_Comm_split(handle, color.map(Int32.init) ?? cmpi_undefined(), Int32(key), &part)
      try check(code, "MPI_Comm_split")
    }
    return part == cmpi_comm_null() ? nil : try Communicator(adopting: part, from: self)
  }

  /// The ranks that share this rank's machine and so its memory. Collective.
  public func splitByMachine(file: StaticString = #fileID, line: Int = #line) throws(MPIError) -> Communicator {
    var part: MPI_Comm?
    try recorded(.split, 0, nil, CallSite(file, line)) { () throws(MPIError) in
      let code = MPI_Comm_split_type(handle, cmpi_split_shared_memory(), Int32(rank), cmpi_info_null(), &part)
      try check(code, "MPI_Comm_split_type")
    }
    return try Communicator(adopting: part, from: self)
  }
}
