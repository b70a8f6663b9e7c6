import MPI

/// The first communication error of code that cannot throw.
///
/// A pass calls communication from inside layers, which cannot throw. The contract:
///
/// 1. `attempt` keeps the first error. From then on it runs nothing more, so this rank sends nothing: its calls would no
///    longer match the calls of the other ranks.
/// 2. The pass goes on with harmless numbers without meaning: zeros in place of received rows, gradients that are not
///    summed.
/// 3. Whoever runs the pass calls `check` after it, before any number of the pass is used. `check` throws the error at
///    every call: communication does not recover, so the run must end.
package struct DeferredError {
  private var first: MPIError?

  package init() {}

  /// Runs `body`, unless an earlier one failed.
  ///
  /// - Returns: whether `body` ran and succeeded.
  package mutating func attempt(_ body: () throws(MPIError) -> Void) -> Bool {
    guard first == nil else { return false }
    do throws(MPIError) {
      try body()
      return true
    } catch {
      first = error
      return false
    }
  }

  /// - Throws: the first error of any `attempt`.
  package func check() throws(MPIError) { if let first { throw first } }
}
