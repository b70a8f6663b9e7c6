/// What a rank is about: `sampling group 812`, `layer 2 forward`.
public struct ActivityLabel: Sendable {
  let name: StaticString
  /// Which one; nil where there is one only.
  let number: Int?
  let detail: StaticString
  /// Whether it says where a rank is. A step does not: it is named beside.
  let isPlace: Bool

  public init(_ name: StaticString, _ number: Int? = nil, _ detail: StaticString = "", isPlace: Bool = true) {
    self.name = name
    self.number = number
    self.detail = detail
    self.isPlace = isPlace
  }

  static let none = ActivityLabel("")

  /// The words; empty for `none`.
  var text: String {
    var text = "\(name)"
    if let number { text += " \(number)" }
    if detail.utf8CodeUnitCount > 0 { text += " \(detail)" }
    return text
  }
}

/// One phase or collective, as the recorder keeps it: plain values only.
struct FlightEvent: Sendable {
  /// The phase, or the innermost phase in which the collective was called.
  var label: ActivityLabel
  /// Nil for a phase.
  var operation: CollectiveOperation?
  var type: TransferType?
  var count = 0
  var site = CallSite("", 0)
  /// Whether it is the wait for a collective that was started without waiting.
  var isWait = false
  /// The communicator's number, and which of its collectives this is, from 1.
  var communicator: UInt64 = 0
  var place: UInt64 = 0
  /// Its ranks in the world.
  var members = RankRun.none
  /// The thread, numbered as threads appear.
  var lane = 0
  var step = 0
  /// Nanoseconds of the monotonic clock; the end is 0 while it is under way.
  var start: UInt64
  var end: UInt64 = 0

  /// `all-to-all layer 2 forward`, or the phase.
  var title: String {
    guard let operation else { return label.text }
    let place = label.isPlace ? label.text : ""
    return "\(operation.kind.name)\(place.isEmpty ? "" : " ")\(place)"
  }
}

/// Ranks at equal distances, which those of a world, an expert group and a data group are.
package struct RankRun: Sendable, Equatable {
  package var first: Int32
  package var stride: Int32
  /// 0 where the ranks are not at equal distances.
  package var count: Int32

  package static let none = RankRun(first: 0, stride: 1, count: 0)

  package init(first: Int32, stride: Int32, count: Int32) {
    self.first = first
    self.stride = stride
    self.count = count
  }

  package init(_ ranks: [Int32]) {
    guard let first = ranks.first else {
      self = .none
      return
    }
    let stride = ranks.count > 1 ? ranks[1] - first : 1
    let isEven = stride > 0 && ranks.indices.allSatisfy { ranks[$0] == first + Int32($0) * stride }
    self = isEven ? RankRun(first: first, stride: stride, count: Int32(ranks.count)) : .none
  }

  package var ranks: [Int] { (0..<Int(count)).map { Int(first) + $0 * Int(stride) } }
}
