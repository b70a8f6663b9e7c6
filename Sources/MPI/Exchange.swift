internal import CMPI

/// The elements that one rank sends to (or receives from) each rank: the block for rank r has `counts[r]` elements at
/// `offsets[r]`.
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

/// One side's arguments of `MPI_Alltoallw`, in memory that stays valid until the exchange has ended.
///
/// A block whose length or offset does not fit in MPI's 32 bits gets a derived datatype. Whether it does depends on
/// this rank's memory only. With `MPI_Alltoallw`, ranks need not agree on this; with `MPI_Alltoallv`, they would have
/// to.
final class ExchangeSide {
  let counts: UnsafeMutablePointer<Int32>
  /// In bytes.
  let displacements: UnsafeMutablePointer<Int32>
  let types: UnsafeMutablePointer<MPI_Datatype?>
  private let size: Int
  private var derivedTypes: [MPI_Datatype?] = []

  /// Describes no blocks yet.
  init(size: Int) {
    self.size = size
    counts = .allocate(capacity: size)
    displacements = .allocate(capacity: size)
    types = .allocate(capacity: size)
    counts.initialize(repeating: 0, count: size)
    displacements.initialize(repeating: 0, count: size)
    types.initialize(repeating: nil, count: size)
  }

  convenience init<Element: Transferable>(_ blocks: Blocks, of type: Element.Type, countLimit: Int) throws(MPIError) {
    self.init(size: blocks.counts.count)
    try describe(blocks, of: type, countLimit: countLimit)
  }

  /// Describes `blocks` in place of the previous ones.
  func describe<Element: Transferable>(_ blocks: Blocks, of type: Element.Type, countLimit: Int) throws(MPIError) {
    for other in 0..<size {
      try describe(other, blocks.counts[other], at: blocks.offsets[other], of: type, countLimit)
    }
  }

  /// Describes consecutive blocks; allocates nothing if no block needs a derived datatype.
  func describe<Element: Transferable>(
    contiguous blocks: UnsafeBufferPointer<Int>, of type: Element.Type, countLimit: Int
  ) throws(MPIError) {
    var next = 0
    for other in 0..<size {
      try describe(other, blocks[other], at: next, of: type, countLimit)
      next += blocks[other]
    }
  }

  private func describe<Element: Transferable>(
    _ other: Int, _ count: Int, at offset: Int, of type: Element.Type, _ countLimit: Int
  ) throws(MPIError) {
    let displacement = count > 0 ? offset * MemoryLayout<Element>.stride : 0
    if count <= countLimit, displacement <= countLimit {
      counts[other] = Int32(count)
      displacements[other] = Int32(displacement)
      types[other] = Element.datatype
    } else {
      counts[other] = 1
      displacements[other] = 0
      types[other] = try makeType(type, count, displacement, countLimit)
    }
  }

  private func makeType<Element: Transferable>(
    _: Element.Type, _ count: Int, _ displacement: Int, _ countLimit: Int
  ) throws(MPIError) -> MPI_Datatype? {
    let parts = Array(Parts(count: count, limit: countLimit))
    var type: MPI_Datatype?
    let code = MPI_Type_create_hindexed(
      Int32(parts.count), parts.map { Int32($0.count) },
      parts.map { displacement + $0.lowerBound * MemoryLayout<Element>.stride }, Element.datatype, &type)
    try check(code, "MPI_Type_create_hindexed")
    derivedTypes.append(type)
    try check(MPI_Type_commit(&type), "MPI_Type_commit")
    return type
  }

  /// Frees the derived datatypes. Describe the blocks again before the next exchange.
  func freeTypes() {
    for type in derivedTypes {
      var type = type
      MPI_Type_free(&type)
    }
    derivedTypes.removeAll()
  }

  deinit {
    freeTypes()
    counts.deallocate()
    displacements.deallocate()
    types.deallocate()
  }
}

/// Both sides of an exchange.
struct ExchangeSides {
  let sent: ExchangeSide
  let received: ExchangeSide

  init(size: Int) {
    sent = ExchangeSide(size: size)
    received = ExchangeSide(size: size)
  }

  func freeTypes() {
    sent.freeTypes()
    received.freeTypes()
  }
}

extension Communicator {
  /// Sends each rank its block of `values` and writes the blocks received to `result`. The two must be different
  /// memory, because Open MPI takes equal addresses for an exchange in place. Collective.
  func exchange<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, _ sent: Blocks, into result: UnsafeMutableBufferPointer<Element>,
    _ received: Blocks
  ) throws(MPIError) {
    let sides = exchangeSides
    defer { sides.freeTypes() }
    try sides.sent.describe(sent, of: Element.self, countLimit: countLimit)
    try sides.received.describe(received, of: Element.self, countLimit: countLimit)
    try exchange(values, into: result, sides)
  }

  /// Exchanges consecutive blocks; allocates nothing once the communicator has exchanged blocks.
  func exchange<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, contiguous sent: UnsafeBufferPointer<Int>,
    into result: UnsafeMutableBufferPointer<Element>, contiguous received: UnsafeBufferPointer<Int>
  ) throws(MPIError) {
    let sides = exchangeSides
    defer { sides.freeTypes() }
    try sides.sent.describe(contiguous: sent, of: Element.self, countLimit: countLimit)
    try sides.received.describe(contiguous: received, of: Element.self, countLimit: countLimit)
    try exchange(values, into: result, sides)
  }

  private func exchange<Element: Transferable>(
    _ values: UnsafeBufferPointer<Element>, into result: UnsafeMutableBufferPointer<Element>, _ sides: ExchangeSides
  ) throws(MPIError) {
    let (sent, received) = (sides.sent, sides.received)
    let code = MPI_Alltoallw(
      values.address(0), sent.counts, sent.displacements, sent.types, result.address(0), received.counts,
      received.displacements, received.types, handle)
    try check(code, "MPI_Alltoallw")
  }

  /// Starts an exchange as part of `request`, which keeps the arguments until the exchange has ended.
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
