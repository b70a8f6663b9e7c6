import Foundation
import Synchronization

/// Notices Ctrl-C and SIGTERM in commands that run on one rank, so that they leave in good order. A second signal ends
/// the process at once, whatever it does.
public enum Interrupt {
  private static let received = Atomic<Bool>(false)

  /// Starts to listen; the first signal no longer ends the process.
  public static func install() {
    // Whoever started this process may have blocked the signals, and blocked ones are inherited.
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGINT, SIGTERM] {
      signal(number) { number in
        guard Interrupt.received.exchange(true, ordering: .relaxed) else { return }
        signal(number, SIG_DFL)
        raise(number)
      }
      sigaddset(&signals, number)
    }
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
  }

  /// Whether a signal came since the last `reset`.
  public static var isRequested: Bool { received.load(ordering: .relaxed) }

  /// Forgets a signal that was answered.
  public static func reset() { received.store(false, ordering: .relaxed) }
}
