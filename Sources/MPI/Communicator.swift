internal import CMPI
import Telemetry

/// A group of ranks that exchange data only with each other.
///
/// All ranks of the communicator must make the same collective calls (all calls except send, receive and probe) in the
/// same order. MPI runs with `MPI_THREAD_MULTIPLE`, so any thread may call. Two threads of a rank must not be in
/// collectives of the same communicator at the same time: give each thread a communicator of its own by `duplicate()`.
/// Two threads in MPI at the same time hung in Open MPI 4.1.4 if ranks shared a machine, so the trainer calls MPI from
/// one thread.
///
/// Counts are in elements and may exceed 2³¹ − 1, the limit of MPI's own calls: larger transfers are split.
///
/// The flight recorder records every collective, with the call site in the parameters `file` and `line`. Leave these
/// parameters out.
///
/// ## Calls
///
/// This module is a library for any program, so it is complete: the trainer does not use all of it, but the tests cover
/// all of it.
///
/// ### Ranks
/// - ``duplicate(file:line:)``, ``split(color:key:file:line:)``, ``splitByMachine(file:line:)``
///
/// ### Collectives
/// Each takes buffers or arrays. The array form allocates its result.
/// - `broadcast`, `scatter`, `scatterv`
/// - `gather`, `gatherv`, `allGather`, `allGatherv`, `allToAll`, `allToAllv`
/// - `reduce`, `allReduce`, `reduceScatter`, with a ``ReduceOperation``
/// - ``barrier(file:line:)``
///
/// ### Texts and records
/// - ``gather(records:file:line:)``, ``gather(records:to:file:line:)``, ``broadcast(record:from:file:line:)``
/// - `broadcast` of a text, ``gather(texts:file:line:)``, ``firstText(_:file:line:)``
///
/// ### Messages between two ranks
/// - `send`, `receive`, `probe`, `iProbe`
///
/// ### Non-blocking calls
/// Each takes ownership of its memory and returns a ``Request``, which returns the memory from `wait()`.
/// - ``iBarrier(file:line:)``, `iBroadcast`, `iAllReduce`, `iAllGather`, `iAllGatherv`, `iAllToAll`, `iAllToAllv`
/// - `iSend`, `iReceive`
public final class Communicator: @unchecked Sendable {
  /// The number of this process, 0 ..< size.
  public let rank: Int
  /// The number of ranks.
  public let size: Int

  /// The largest tag of a message that every MPI library supports.
  public static let largestTag = 32_767

  let handle: MPI_Comm?
  /// The flight recorder's entry for this communicator.
  let log: CommunicatorLog
  /// The communicator over which debug mode compares calls.
  let shadow: ShadowCommunicator
  /// Maximum elements of one MPI call; tests lower it so that transfers are split.
  package let countLimit: Int
  /// Arguments of blocking exchanges, created by the first one and used again. At most one exchange is in progress.
  lazy var exchangeSides = ExchangeSides(size: size)
  /// Arguments of blocking all-gathers, used again in the same way.
  lazy var gatherArguments = IntegerArguments(size: size)
  /// The communicator that frees the handle, if that is a different one.
  private let owner: Communicator?
  private let freesHandle: Bool

  /// Takes over a handle that MPI has just created, and makes its errors return instead of ending the process.
  ///
  /// - Parameter parent: the communicator from which the handle was made; nil for the world.
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
    log = CommunicatorLog(ranks: try Self.worldRanks(handle), parent: parent?.log)
    shadow = ShadowCommunicator()
    countLimit = Int(Int32.max)
    owner = nil
  }

  private init(_ other: Communicator, countLimit: Int) {
    precondition(1...Int(Int32.max) ~= countLimit, "count limit \(countLimit) is not in 1 ... \(Int32.max)")
    handle = other.handle
    log = other.log
    shadow = other.shadow
    rank = other.rank
    size = other.size
    self.countLimit = countLimit
    owner = other
    freesHandle = false
  }

  /// The same communicator, which splits transfers of more than `limit` elements.
  package func splittingTransfers(above limit: Int) -> Communicator { Communicator(self, countLimit: limit) }

  deinit {
    guard freesHandle, Environment.isRunning else { return }
    var handle = handle
    MPI_Comm_free(&handle)
  }
}

extension Communicator {
  /// A communicator of the same ranks whose messages are separate from the messages of this one. Collective.
  public func duplicate(file: StaticString = #fileID, line: Int = #line) throws(MPIError) -> Communicator {
    var copy: MPI_Comm?
    try recorded(.duplicate, 0, nil, CallSite(file, line)) { () throws(MPIError) in
      try check(MPI_Comm_dup(handle, &copy), "MPI_Comm_dup")
    }
    return try Communicator(adopting: copy, from: self)
  }

  /// Splits the ranks into one communicator per `color`, ordered by `key`, then by rank. Collective.
  ///
  /// - Returns: the communicator of this rank's color; nil if `color` is nil.
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

  /// The ranks on the same machine as this rank, which can share memory. Collective.
  public func splitByMachine(file: StaticString = #fileID, line: Int = #line) throws(MPIError) -> Communicator {
    var part: MPI_Comm?
    try recorded(.split, 0, nil, CallSite(file, line)) { () throws(MPIError) in
      let code = MPI_Comm_split_type(handle, cmpi_split_shared_memory(), Int32(rank), cmpi_info_null(), &part)
      try check(code, "MPI_Comm_split_type")
    }
    return try Communicator(adopting: part, from: self)
  }
}
