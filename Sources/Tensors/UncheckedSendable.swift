/// A pointer, or a reference, that worker threads may use while the caller of a parallel loop waits for them.
///
/// The compiler cannot see that the loop ends before the owner frees the memory, and that workers write disjoint parts.
/// Whoever wraps a value promises both.
package struct UncheckedSendable<Value>: @unchecked Sendable {
  package let value: Value

  package init(_ value: Value) { self.value = value }
}
