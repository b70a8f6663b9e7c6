import Tensors

/// The rows that this rank's mini-MoEs compute in one layer of a micro-batch, sorted so that a segment stands together.
struct CouncilWork: @unchecked Sendable {
  /// Rows of one mini-MoE that a product may take together.
  struct Segment: Sendable {
    let member: Int
    /// The rank of the expert group whose unit the rows belong to, where units must not mix in a product.
    let source: Int?
    let rows: Range<Int>
  }

  /// Ascending by member.
  let segments: [Segment]
  /// For each member with rows, where its segments stand in `segments`.
  let members: [Range<Int>]
  /// The rows u that the members read [R, d].
  let inputs: Matrix
  /// The sequence of each row, as `BalanceTerms` counts them; any where nothing is reported.
  let sequence: UnsafePointer<Int32>

  init(segments: [Segment], inputs: Matrix, sequence: UnsafePointer<Int32>) {
    self.segments = segments
    self.inputs = inputs
    self.sequence = sequence
    var members: [Range<Int>] = []
    for (index, segment) in segments.enumerated() {
      if let last = members.last, segments[last.lowerBound].member == segment.member {
        members[members.count - 1] = last.lowerBound..<index + 1
      } else {
        members.append(index..<index + 1)
      }
    }
    self.members = members
  }
}
