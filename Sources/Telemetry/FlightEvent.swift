/// The name of a phase: `sampling group 812`, `layer 2 forward`.
public struct ActivityLabel: Sendable {
  let name: StaticString
  /// The number of the group, layer, …; nil if there is only one.
  let number: Int?
  let detail: StaticString
  /// Whether the label says what a rank is doing. A step's label does not: the step number is reported separately.
  package let isActivity: Bool

  public init(_ name: StaticString, _ number: Int? = nil, _ detail: StaticString = "", isActivity: Bool = true) {
    self.name = name
    self.number = number
    self.detail = detail
    self.isActivity = isActivity
  }

  static let none = ActivityLabel("")

  /// The label as text; empty for `none`.
  package var text: String {
    var text = "\(name)"
    if let number { text += " \(number)" }
    if detail.utf8CodeUnitCount > 0 { text += " \(detail)" }
    return text
  }
}

/// The arguments of a call of a collective.
package struct CollectiveCall: Sendable {
  /// `all-reduce`.
  package let operation: StaticString
  /// In elements.
  package let count: Int
  /// `float32`; nil if the collective moves no elements.
  package let elementType: StaticString?
  package let site: CallSite

  package init(_ operation: StaticString, count: Int, elementType: StaticString?, site: CallSite) {
    self.operation = operation
    self.count = count
    self.elementType = elementType
    self.site = site
  }
}

/// One phase or collective, as the recorder keeps it: plain values only.
package struct FlightEvent: Sendable {
  /// The phase; for a collective, the innermost phase that called it.
  package var label: ActivityLabel
  /// Nil for a phase.
  var call: CollectiveCall?
  /// Whether the event is the wait for a non-blocking collective.
  var isWait = false
  /// The communicator's id, the number of the collective among those of the communicator (from 1), and the world ranks
  /// of the communicator.
  package var communicator: UInt64 = 0
  package var number: UInt64 = 0
  package var members = StridedRanks.none
  /// Threads are numbered in the order in which they first record something.
  var thread = 0
  var step = 0
  /// Nanoseconds of the monotonic clock; the end is 0 while the event lasts.
  package var start: UInt64
  var end: UInt64 = 0

  /// `all-to-all layer 2 forward`, or the phase.
  package var title: String {
    guard let call else { return label.text }
    let activity = label.isActivity ? label.text : ""
    return "\(call.operation)\(activity.isEmpty ? "" : " ")\(activity)"
  }
}
