internal import CMPI
import Synchronization

/// Debug mode's comparison: before each collective, its ranks tell each other what they are about to call, so that ranks
/// that went different ways learn it instead of waiting for each other.
///
/// The comparison is an all-gather of 256 bytes over a communicator of its own, so it also meets ranks that call other
/// collectives of the same communicator. Ranks that wait in another communicator are the watchdog's.
public enum CollectiveCheck {
  private static let enabled = Atomic(false)
  private static let nanoseconds = Atomic<UInt64>(0)
  private static let comparisons = Atomic<Int>(0)

  /// Whether collectives are compared. All ranks must set it at the same place.
  public static var isOn: Bool {
    get { enabled.load(ordering: .relaxed) }
    set { enabled.store(newValue, ordering: .relaxed) }
  }

  /// Seconds spent in comparisons so far, waiting for other ranks included, and how many there were.
  public static var cost: (seconds: Double, comparisons: Int) {
    (Double(nanoseconds.load(ordering: .relaxed)) / 1e9, comparisons.load(ordering: .relaxed))
  }

  /// Compares what the ranks of `communicator` are about to call. Collective.
  ///
  /// - Throws: a `.mismatch` on all of them, echoed on all but the lowest.
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
    if communicator.log.shadow == nil {
      var shadow: MPI_Comm?
      try check(MPI_Comm_dup(communicator.handle, &shadow), "MPI_Comm_dup")
      communicator.log.shadow = shadow
    }
    let code = MPI_Allgather(
      own.bytes, length, cmpi_uint8(), &all, length, cmpi_uint8(), communicator.log.shadow)
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

/// What one rank is about to call, in 256 bytes: words and the call site, so that the comparison can name both sides.
struct CollectiveFingerprint {
  static let byteCount = 256

  /// Text, filled up with zeros.
  let bytes: [UInt8]

  /// - Parameter count: nil where ranks may differ in it.
  init(_ operation: CollectiveOperation, _ count: Int?, _ type: TransferType?, _ site: CallSite) {
    var text = "\(operation.kind.name)"
    if let reduction = operation.reduction { text += " (\(reduction))" }
    if let type { text += count.map { " of \($0) \(type)" } ?? " of \(type)" }
    if let root = operation.root { text += " from or to root \(root)" }
    text += " at \(site)"
    bytes = Array((Array(text.utf8) + [UInt8](repeating: 0, count: Self.byteCount)).prefix(Self.byteCount))
  }

  /// The words in the bytes of one rank.
  static func describe(_ bytes: some Sequence<UInt8>) -> String {
    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }
}
