internal import CMPI

/// What one rank sends to (or receives from) each rank: the block for rank r is `counts[r]` elements at `offsets[r]`.
struct Blocks {
  var counts: [Int]
  var offsets: [Int]

  static func none(size: Int) -> Blocks {
    Blocks(counts: [Int](repeating: 0, count: size), offsets: [Int](repeating: 0, count: size))
  }

  static func same(_ count: Int, size: Int) -> Blocks {
    Blocks(counts: [Int](repeating: count, count: size), offsets: (0..<size).map { $0 * count })
  }
}

/// Blocks as `MPI_Alltoallw` wants them, kept in memory that MPI may read until the exchange is over.
///
/// A block whose length or place does not fit into MPI's 32 bits is described by a type of its own. Whether it is
/// depends on this rank's memory only, so ranks need not agree on it, which `MPI_Alltoallv` could not offer.
final class ExchangeSide {
  let counts: UnsafeMutablePointer<Int32>
  /// In bytes.
  let displacements: UnsafeMutablePointer<Int32>
  let types: UnsafeMutablePointer<MPI_Datatype?>
  private var ownTypes: [MPI_Datatype?] = []

  init<Element: Transferable>(_ blocks: Blocks, of _: Element.Type, countLimit: Int) throws(MPIError) {
    let size = blocks.counts.count
    counts = .allocate(capacity: size)
    displacements = .allocate(capacity: size)
    types = .allocate(capacity: size)
    counts.initialize(repeating: 0, count: size)
    displacements.initialize(repeating: 0, count: size)
    types.initialize(repeating: Element.datatype, count: size)
    for other in 0..<size where blocks.counts[other] > 0 {
      let displacement = blocks.offsets[other] * MemoryLayout<Element>.stride
      if blocks.counts[other] <= countLimit, displacement <= countLimit {
        counts[other] = Int32(blocks.counts[other])
        displacements[other] = Int32(displacement)
      } else {
        counts[other] = 1
        types[other] = try makeType(Element.self, blocks.counts[other], displacement, countLimit)
      }
    }
  }

  private func makeType<Element: Transferable>(
    _: Element.Type, _ count: Int, _ displacement: Int, _ countLimit: Int
  ) throws(MPIError) -> MPI_Datatype? {
    let pieces = Array(Pieces(count: count, limit: countLimit))
    var type: MPI_Datatype?
    let code = MPI_Type_create_hindexed(
      Int32(pieces.count), pieces.map { Int32($0.count) },
      pieces.map { displacement + $0.lowerBound * MemoryLayout<Element>.stride }, Element.datatype, &type)
    try check(code, "MPI_Type_create_hindexed")
    ownTypes.append(type)
    try check(MPI_Type_commit(&type), "MPI_Type_commit")
    return type
  }

  deinit {
    for type in ownTypes {
      var type = type
      MPI_Type_free(&type)
    }
    counts.deallocate()
    displacements.deallocate()
    types.deallocate()
  }
}

extension Communicator {
  /// Sends each rank its block of `values` and puts the blocks received into `result`, which must be other memory (Open
  /// MPI takes equal addresses for an exchange in place). Collective.
  func exchange<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, _ sent: Blocks, into result: UnsafeMutableBufferPointer<Element>,
    _ received: Blocks
  ) throws(MPIError) {
    let sent = try ExchangeSide(sent, of: Element.self, countLimit: countLimit)
    let received = try ExchangeSide(received, of: Element.self, countLimit: countLimit)
    let code = MPI_Alltoallw(
      values.address(0), sent.counts, sent.displacements, sent.types, result.address(0), received.counts,
      received.displacements, received.types, handle)
    withExtendedLifetime((sent, received)) {}
    try check(code, "MPI_Alltoallw")
  }

  /// The same, started as part of `request`, which keeps what MPI reads until the exchange is over.
  func startExchange<Element: Transferable, Payload: ~Copyable>(
    _ request: inout Request<Payload>, _ values: UnsafeBufferPointer<Element>, _ sent: Blocks,
    into result: UnsafeMutableBufferPointer<Element>, _ received: Blocks
  ) throws(MPIError) {
    let sent = try ExchangeSide(sent, of: Element.self, countLimit: countLimit)
    let received = try ExchangeSide(received, of: Element.self, countLimit: countLimit)
    try request.start(keeping: [sent, received]) {
      MPI_Ialltoallw(
        values.address(0), sent.counts, sent.displacements, sent.types, result.address(0), received.counts,
        received.displacements, received.types, handle, $0)
    }
  }
}
