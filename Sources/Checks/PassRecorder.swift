import MPI
import Synchronization
import Telemetry
import Tensors

/// Records the parts of passes as phases of the flight recorder and, in debug mode, checks their results.
package final class PassRecorder: PassObserver {
  /// Nil outside of debug mode.
  private let watch = Mutex<NonfiniteWatch?>(nil)
  private let isWatching = Atomic(false)

  package init() {}

  package func begins(_ part: PassPart) {
    let detail: StaticString = part.isBackward ? "backward" : "forward"
    switch part.kind {
    case .layer: FlightRecorder.begin(ActivityLabel("layer", part.layer, detail))
    case .embedding: FlightRecorder.begin(ActivityLabel("embedding", nil, detail))
    case .latents: FlightRecorder.begin(ActivityLabel("latents", nil, detail))
    case .head: FlightRecorder.begin(ActivityLabel("head", nil, detail))
    case .diffusionLoss: FlightRecorder.begin(ActivityLabel("diffusion loss"))
    }
  }

  package func ends() { FlightRecorder.end() }

  package func produced(_ values: Matrix, _ what: StaticString, in part: PassPart) {
    guard isWatching.load(ordering: .relaxed) else { return }
    watch.withLock { (watch: inout NonfiniteWatch?) -> Void in watch?.check(values, what, in: part) }
  }

  /// Checks all values from now on.
  func startWatching() {
    watch.withLock { $0 = NonfiniteWatch() }
    isWatching.store(true, ordering: .relaxed)
  }

  /// The first non-finite value since the last call; nil if there was none.
  func takeFinding() -> NonfiniteWatch.Finding? {
    watch.withLock { watch in
      defer { watch?.reset() }
      return watch?.first
    }
  }

  /// Seconds spent on checks.
  var seconds: Double { watch.withLock { $0?.seconds ?? 0 } }
}
