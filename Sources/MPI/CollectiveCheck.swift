internal import CMPI
import Synchronization
import Telemetry

/// Debug mode's comparison: before each collective, the ranks of the communicator compare their calls, so that ranks
/// that diverged get an error instead of waiting for each other.
///
/// The comparison is an all-gather of 256 bytes over a communicator of its own, so it also detects different
/// collectives on the same communicator. The watchdog detects ranks that wait on different communicators.
public enum CollectiveCheck {
  private static let enabled = Atomic(false)
  private static let nanoseconds = Atomic<UInt64>(0)
  private static let comparisons = Atomic<Int>(0)

  /// Whether collectives are compared. All ranks must set it between the same two collectives.
  public static var isOn: Bool {
    get { enabled.load(ordering: .relaxed) }
    set { enabled.store(newValue, ordering: .relaxed) }
  }

  /// Seconds spent in comparisons so far, including the wait for other ranks, and the number of comparisons.
  public static var cost: (seconds: Double, comparisons: Int) {
    (Double(nanoseconds.load(ordering: .relaxed)) / 1e9, comparisons.load(ordering: .relaxed))
  }

  /// Compares the calls that the ranks of `communicator` are about to make. Collective.
  ///
  /// - Throws: a `.mismatch` on all ranks; `isEchoed` is true on all but the lowest.
  static func compare(
    _ communicator: Communicator, _ operation: CollectiveOperation, _ count: Int, _ type: TransferType?,
    _ site: CallSite
  ) throws(MPIError) {
    guard communicator.size > 1 else { return }
    let start = FlightRecorder.clock()
    defer {
      nanoseconds.add(FlightRecorder.clock() - start, ordering: .relaxed)
      comparisons.add(1, ordering: .relaxed)
    }
    let own = CollectiveFingerprint(operation, operation.hasEqualCounts ? count : nil, type, site)
    var all = [UInt8](repeating: 0, count: CollectiveFingerprint.byteCount * communicator.size)
    let length = Int32(CollectiveFingerprint.byteCount)
    let shadow = communicator.shadow
    if shadow.handle == nil { try check(MPI_Comm_dup(communicator.handle, &shadow.handle), "MPI_Comm_dup") }
    let code = MPI_Allgather(
      own.bytes, length, cmpi_uint8(), &all, length, cmpi_uint8(), shadow.handle)
    try check(code, "MPI_Allgather")
    let first = all.prefix(CollectiveFingerprint.byteCount)
    for rank in 1..<communicator.size {
      let other = all[rank * CollectiveFingerprint.byteCount..<(rank + 1) * CollectiveFingerprint.byteCount]
      guard !other.elementsEqual(first) else { continue }
      let names = communicator.log.members.ranks
      func name(_ rank: Int) -> String { "rank \(names.isEmpty ? rank : names[rank])" }
      throw MPIError(
        call: "\(operation.kind.name)", kind: .mismatch,
        text: "ranks call different collectives: \(name(0)) \(CollectiveFingerprint.describe(first)), "
          + "\(name(rank)) \(CollectiveFingerprint.describe(other))",
        remedy: MPIError.Kind.mismatch.remedy, isEchoed: communicator.rank > 0)
    }
  }
}

/// The call that a rank is about to make, in 256 bytes of text, so that an error can show the calls of both ranks.
struct CollectiveFingerprint {
  static let byteCount = 256

  /// Text, padded with zeros.
  let bytes: [UInt8]

  /// - Parameter count: nil if counts may differ between ranks.
  init(_ operation: CollectiveOperation, _ count: Int?, _ type: TransferType?, _ site: CallSite) {
    var text = "\(operation.kind.name)"
    if let reduction = operation.reduction { text += " (\(reduction))" }
    if let type { text += count.map { " of \($0) \(type)" } ?? " of \(type)" }
    if let root = operation.root { text += " from or to root \(root)" }
    text += " at \(site)"
    bytes = Array((Array(text.utf8) + [UInt8](repeating: 0, count: Self.byteCount)).prefix(Self.byteCount))
  }

  /// The text in the bytes of one rank.
  static func describe(_ bytes: some Sequence<UInt8>) -> String {
    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }
}
