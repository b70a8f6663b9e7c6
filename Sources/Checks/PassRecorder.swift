import MPI
import Synchronization
import Telemetry
import Tensors

/// Makes the parts of passes phases of the flight recorder, and has debug mode look at what they compute.
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
    watch.withLock { (watch: inout NonfiniteWatch?) -> Void in watch?.look(at: values, what, in: part) }
  }

  /// Looks at every value from now on.
  func startWatching() {
    watch.withLock { $0 = NonfiniteWatch() }
    isWatching.store(true, ordering: .relaxed)
  }

  /// The first value that was not finite since the last call; nil where all were.
  func takeFinding() -> NonfiniteWatch.Finding? {
    watch.withLock { watch in
      defer { watch?.reset() }
      return watch?.first
    }
  }

  /// Seconds spent looking so far.
  var seconds: Double { watch.withLock { $0?.seconds ?? 0 } }
}
