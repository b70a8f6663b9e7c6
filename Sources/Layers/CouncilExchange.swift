import Tensors

/// Expert parallelism of one rank: sends routed rows to the ranks that own their mini-MoEs and returns the results; in
/// the backward pass, the same with gradients. Sizes travel first, then one all-to-all per direction and layer. No row
/// is dropped.
///
/// The order of calls for a micro-batch is `begin`, the forward passes of the layers, `collect`, the backward passes of
/// the layers. All ranks of the expert group make the same calls; a rank without tokens takes part with no rows.
/// Received data is kept until the next `begin`, so a layer that is recomputed does not exchange again.
///
/// No number depends on which rank sent a row: the forward pass treats rows independently, and the rows of a mini-MoE
/// are in the order (rank, sequence, position), which is the global order. With `separate`, rows of different ranks
/// never meet in a product, and the unit of each rank has gradients of its own. Only the thread that runs the passes
/// may use the exchange.
public final class CouncilExchange: @unchecked Sendable {
  /// The mini-MoEs that this rank computes.
  public let owned: Range<Int>
  /// Bytes of rows that this rank has sent to other ranks since the exchange was made.
  public private(set) var bytesSent = 0
  /// Number of rows that this rank has sent to mini-MoEs of other ranks.
  public private(set) var remoteRows = 0
  private let transport: any ExpertTransport
  private let separate: [Gradients]?
  /// `separate`, with the units that are open during a backward pass in place of the originals.
  private var sources: [Gradients]?
  /// What a micro-batch keeps; the next one releases it down to `empty`.
  private let arena = Arena()
  private let empty: Arena.Mark
  /// Memory for sizes while they are exchanged.
  private let scratch = Arena(chunkBytes: 64 << 10)
  /// The number 1 for each rank.
  private let ones: ArenaList<Int>
  /// Number of sequences of each rank.
  private let sequenceCounts: ArenaList<Int>
  private var values: UnsafeMutablePointer<Double>?
  /// One entry for each layer computed so far.
  private var layers: [LayerExchange?] = []
  /// The sequences of all ranks of the group, in rank order; nil if nothing is reported.
  private(set) var terms: BalanceTerms?

  /// How the rows of one layer were exchanged.
  struct Layout: BitwiseCopyable, @unchecked Sendable {
    /// Number of rows sent to each owner, and received from each source.
    let sent: ArenaList<Int>
    let received: ArenaList<Int>
    /// Index of each received row in the order of the segments; nil if received rows are in that order already.
    let sortedRow: UnsafeMutablePointer<Int32>?
    /// Number of rows received from all ranks.
    let rows: Int
  }

  /// What a layer keeps until the next `begin`, so that a recomputed layer does not exchange again.
  private struct LayerExchange {
    let layout: Layout
    let work: CouncilWork
    var outputs: Matrix?
  }

  /// - Parameters:
  ///   - owned: the mini-MoEs of this rank. Every rank of the group owns equally many, in rank order.
  ///   - separate: for each rank of the group, the destination of the gradients of its rows, if units must not mix;
  ///     this rank's own entry is not used. Nil: all rows add to the gradients of the backward pass.
  public init(_ transport: any ExpertTransport, owned: Range<Int>, separate sources: [Gradients]?) {
    precondition(owned.lowerBound == owned.count * transport.rank, "mini-MoEs \(owned) of rank \(transport.rank)")
    self.transport = transport
    self.owned = owned
    separate = sources
    self.sources = sources
    ones = ArenaList(repeating: 1, count: transport.size, in: arena)
    sequenceCounts = ArenaList(repeating: 1, count: transport.size, in: arena)
    empty = arena.mark()
  }

  /// Begins a micro-batch with the sequences of `terms`; nil if nothing is reported.
  public func begin(_ terms: BalanceTerms?) {
    for layer in layers.indices { layers[layer] = nil }
    values = nil
    self.terms = nil
    arena.release(empty)
    guard let terms else {
      for rank in sequenceCounts.indices { sequenceCounts[rank] = 1 }
      return
    }
    scratch.scoped {
      transport.exchange(
        ArenaList(repeating: terms.sequences, count: transport.size, in: scratch).pointer, counts: ones,
        into: sequenceCounts.pointer, receiveCounts: ones, scratch)
    }
    let all = BalanceTerms(
      lengths: transport.gather(terms.lengths, counts: sequenceCounts, in: arena, scratch),
      coefficients: transport.gather(terms.coefficients, counts: sequenceCounts, in: arena, scratch),
      share: terms.share)
    self.terms = all
    values = ArenaList<Double>(repeating: 0, count: owned.count * all.sequences, in: arena).pointer
  }

  /// The L_aux values, one per sequence of `terms`, to which the owned `member` adds.
  func values(_ member: Int) -> ArrayView<Double>? {
    guard let values, let terms else { return nil }
    return ArrayView(values + (member - owned.lowerBound) * terms.sequences, count: terms.sequences)
  }

  /// Runs a backward pass with gradients that take one weight-gradient product per stacked matrix over all layers
  /// (`Gradients.unit`), for the caller's own unit and the unit of each other rank.
  public func unit<Result>(_ gradients: Gradients, _ context: Context, _ body: (Gradients) -> Result) -> Result {
    gradients.unit(context) { own in openUnits(from: 0, context) { body(own) } }
  }

  private func openUnits<Result>(from source: Int, _ context: Context, _ body: () -> Result) -> Result {
    guard let separate, source < separate.count else { return body() }
    if source == transport.rank { return openUnits(from: source + 1, context, body) }
    return separate[source].unit(context) { open in
      sources?[source] = open
      defer { sources?[source] = separate[source] }
      return openUnits(from: source + 1, context, body)
    }
  }

  /// Destination of the gradients of rows from `source`; nil means the caller's own gradients.
  func gradients(_ source: Int?) -> Gradients? {
    guard let source, source != transport.rank else { return nil }
    return sources?[source]
  }

  /// The rows for this rank's mini-MoEs in `layer`, given rows `inputs` that `order` sorted by mini-MoE. If the layer
  /// has been computed before, the kept rows.
  func dispatch(
    _ inputs: Matrix, _ order: SlotOrder, sequence: ArrayView<Int32>?, layer: Int, _ lane: Lane
  ) -> (CouncilWork, Layout) {
    while layers.count <= layer { layers.append(nil) }
    if let done = layers[layer] { return (done.work, done.layout) }
    let (layout, segments, sequences) = scratch.scoped { arrange(exchangeSizes(order, sequence), order) }
    let rows = toOwners(inputs, layout, in: arena, lane)
    let work = CouncilWork(segments: segments, inputs: rows, sequence: sequences, in: arena)
    layers[layer] = LayerExchange(layout: layout, work: work, outputs: nil)
    remoteRows += inputs.rows - layout.sent[transport.rank]
    return (work, layout)
  }

  /// The results of the mini-MoEs for the rows passed to `dispatch`, in the same order. `results` are this
  /// rank's.
  func combine(_ results: Matrix, _ layout: Layout, layer: Int, _ lane: Lane) -> Matrix {
    if let outputs = layers[layer]?.outputs { return outputs }
    let outputs = toSources(results, layout, in: arena, lane)
    layers[layer]?.outputs = outputs
    return outputs
  }

  /// Sends rows to the owners of their mini-MoEs. The result is in the order of the segments.
  func toOwners(_ rows: Matrix, _ layout: Layout, in memory: Arena, _ lane: Lane) -> Matrix {
    let out = memory.matrix(layout.rows, rows.columns)
    guard let sortedRow = layout.sortedRow else {
      send(rows, layout.sent, into: out, layout.received)
      return out
    }
    lane.scratch.scoped {
      let received = lane.scratch.matrix(layout.rows, rows.columns)
      send(rows, layout.sent, into: received, layout.received)
      for row in 0..<layout.rows { out.row(Int(sortedRow[row])).update(from: received.row(row), count: rows.columns) }
    }
    return out
  }

  /// Reverses `toOwners`.
  func toSources(_ rows: Matrix, _ layout: Layout, in memory: Arena, _ lane: Lane) -> Matrix {
    let out = memory.matrix(layout.sent.reduce(0, +), rows.columns)
    guard let sortedRow = layout.sortedRow else {
      send(rows, layout.received, into: out, layout.sent)
      return out
    }
    lane.scratch.scoped {
      let arrived = lane.scratch.matrix(layout.rows, rows.columns)
      for row in 0..<layout.rows { arrived.row(row).update(from: rows.row(Int(sortedRow[row])), count: rows.columns) }
      send(arrived, layout.received, into: out, layout.sent)
    }
    return out
  }

  private func send(_ rows: Matrix, _ counts: ArenaList<Int>, into out: Matrix, _ receiveCounts: ArenaList<Int>) {
    bytesSent += (rows.rows - counts[transport.rank]) * rows.columns * MemoryLayout<Float>.stride
    scratch.scoped {
      transport.exchange(
        rows.pointer, counts: times(rows.columns, counts), into: out.pointer,
        receiveCounts: times(rows.columns, receiveCounts), scratch)
    }
  }

  /// Each count multiplied by `factor`, in scratch memory.
  private func times(_ factor: Int, _ counts: ArenaList<Int>) -> ArenaList<Int> {
    var products = ArenaList<Int>(capacity: counts.count, in: scratch)
    for count in counts { products.append(count * factor) }
    return products
  }

  /// Number of rows from each rank, for each owned mini-MoE and each sequence of that rank, in that order, in scratch
  /// memory.
  private func exchangeSizes(_ order: SlotOrder, _ sequence: ArrayView<Int32>?) -> ArenaList<Int32> {
    let mine = sequenceCounts[transport.rank]
    let lengths = times(owned.count, sequenceCounts)
    let all = ArenaList<Int32>(uninitialized: lengths.reduce(0, +), in: scratch)
    let counts = ArenaList<Int32>(repeating: 0, count: owned.count * transport.size * mine, in: scratch)
    for (member, range) in order.offsets {
      for row in range { counts[member * mine + (sequence.map { Int($0[Int(order.token[row])]) } ?? 0)] += 1 }
    }
    transport.exchange(
      counts.pointer, counts: ArenaList(repeating: mine * owned.count, count: transport.size, in: scratch),
      into: all.pointer, receiveCounts: lengths, scratch)
    return all
  }

  /// Plans the exchange of a layer's rows, and the segments in which this rank computes the rows that it receives.
  ///
  /// Rows arrive in the order (source, mini-MoE, sequence). If units may mix, they are sorted to (mini-MoE, source,
  /// sequence), so that all rows of a mini-MoE are one segment, that is, one product. If units must not mix, rows stay
  /// in the order of arrival, and each mini-MoE has a segment for each source.
  ///
  /// - Parameter counts: the result of `exchangeSizes`.
  /// - Returns: the layout, the segments, and the sequence of each row, numbered over all ranks.
  private func arrange(
    _ counts: ArenaList<Int32>, _ order: SlotOrder
  ) -> (Layout, ArenaList<CouncilWork.Segment>, ArrayView<Int32>) {
    let sources = 0..<transport.size
    var sent = ArenaList<Int>(capacity: transport.size, in: arena)
    var received = ArenaList<Int>(capacity: transport.size, in: arena)
    // For each source, the next count to read and the next row in the order of arrival. Both advance in the order
    // (mini-MoE, sequence), so the loops below read each source's counts and rows once, from first to last.
    var nextCount = ArenaList<Int>(capacity: transport.size, in: scratch)
    var nextRow = ArenaList<Int>(capacity: transport.size, in: scratch)
    var firstCount = 0
    var rows = 0
    for source in sources {
      let endCount = firstCount + owned.count * sequenceCounts[source]
      nextCount.append(firstCount)
      nextRow.append(rows)
      received.append((firstCount..<endCount).reduce(0) { $0 + Int(counts[$1]) })
      sent.append(Int(order.starts[(source + 1) * owned.count] - order.starts[source * owned.count]))
      firstCount = endCount
      rows += received[source]
    }

    let sequences = arena.view(Int32.self, rows)
    let sortedRow = separate == nil ? arena.allocate(Int32.self, rows) : nil
    var segments = ArenaList<CouncilWork.Segment>(capacity: owned.count * transport.size, in: arena)
    var sortedRows = 0
    for member in 0..<owned.count {
      let firstOfMember = sortedRows
      var firstSequence = 0
      for source in sources {
        let first = sortedRow == nil ? nextRow[source] : sortedRows
        var row = first
        for sequence in firstSequence..<firstSequence + sequenceCounts[source] {
          for _ in 0..<counts[nextCount[source]] {
            sequences[row] = Int32(sequence)
            sortedRow?[nextRow[source]] = Int32(row)
            nextRow[source] += 1
            row += 1
          }
          nextCount[source] += 1
        }
        firstSequence += sequenceCounts[source]
        sortedRows += row - first
        if sortedRow == nil, row > first {
          segments.append(CouncilWork.Segment(member: owned.lowerBound + member, source: source, rows: first..<row))
        }
      }
      if sortedRow != nil, sortedRows > firstOfMember {
        segments.append(
          CouncilWork.Segment(member: owned.lowerBound + member, source: nil, rows: firstOfMember..<sortedRows))
      }
    }
    let layout = Layout(sent: sent, received: received, sortedRow: sortedRow, rows: rows)
    return (layout, segments, sequences)
  }

  /// Ends the forward passes: each rank receives the contributions to L_aux of its sequences from the owners, by
  /// mini-MoE.
  public func collect(into report: BalanceReport) {
    guard let values, let terms else { return }
    scratch.scoped {
      let mine = sequenceCounts[transport.rank]
      var outgoing = ArenaList<Double>(capacity: owned.count * terms.sequences, in: scratch)
      var base = 0
      for source in 0..<transport.size {
        for member in 0..<owned.count {
          for index in 0..<sequenceCounts[source] { outgoing.append(values[member * terms.sequences + base + index]) }
        }
        base += sequenceCounts[source]
      }
      let incoming = ArenaList<Double>(uninitialized: mine * owned.count * transport.size, in: scratch)
      transport.exchange(
        outgoing.pointer, counts: times(owned.count, sequenceCounts), into: incoming.pointer,
        receiveCounts: ArenaList(repeating: mine * owned.count, count: transport.size, in: scratch), scratch)
      for member in 0..<owned.count * transport.size {
        guard let target = report.values(level: 1 + member) else { return }
        for index in 0..<mine { target[index] = incoming[member * mine + index] }
      }
    }
  }
}
