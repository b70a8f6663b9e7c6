import Tensors

/// The rows that this rank's mini-MoEs compute in one layer of a micro-batch, sorted so that the rows of a segment are
/// consecutive.
struct CouncilWork: BitwiseCopyable, Sendable {
  /// Rows of one mini-MoE that may share a product.
  struct Segment: BitwiseCopyable, Sendable {
    let member: Int
    /// The rank of the expert group whose unit the rows belong to; nil if units may mix in a product.
    let source: Int?
    private let first: Int
    private let count: Int

    init(member: Int, source: Int?, rows: Range<Int>) {
      self.member = member
      self.source = source
      first = rows.lowerBound
      count = rows.count
    }

    var rows: Range<Int> { first..<first + count }
  }

  /// In ascending order of members.
  let segments: ArenaList<Segment>
  /// For each member that has rows, the index of its first segment.
  private let starts: ArenaList<Int>
  /// The rows u that the members read [R, d].
  let inputs: Matrix
  /// The sequence of each row, numbered as in `BalanceTerms`; arbitrary if nothing is reported.
  let sequence: ArrayView<Int32>

  init(segments: ArenaList<Segment>, inputs: Matrix, sequence: ArrayView<Int32>, in arena: Arena) {
    self.segments = segments
    self.inputs = inputs
    self.sequence = sequence
    var starts = ArenaList<Int>(capacity: segments.count, in: arena)
    for index in segments.indices where index == 0 || segments[index].member != segments[index - 1].member {
      starts.append(index)
    }
    self.starts = starts
  }

  /// Number of members that have rows.
  var members: Int { starts.count }

  /// The indices in `segments` of one member's segments.
  func segments(ofMember index: Int) -> Range<Int> {
    starts[index]..<(index + 1 < members ? starts[index + 1] : segments.count)
  }
}
