import Parameters

/// Receives the gradients that are final during the last backward pass of a step, so that their all-reduce can start
/// early.
public protocol GradientObserver: AnyObject, Sendable {
  /// Called when the pass will not add to the gradient of `id` again; by any thread, and more than once for some
  /// tensors.
  func isFinal(_ id: ParameterID)

  /// Called about once per millisecond during long GEMMs, so that communication can progress. Only the thread of the
  /// pass calls it.
  func progress()
}
