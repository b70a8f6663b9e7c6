import Foundation
import MPI
import Synchronization

/// Notices SIGUSR1 (which the launch scripts send for SIGTERM and SIGINT) and lets all ranks stop after the same step.
public enum StopSignal {
  private static let received = Atomic<Bool>(false)

  /// Starts to listen; the signal no longer ends the process.
  public static func install() {
    signal(SIGUSR1) { _ in StopSignal.received.store(true, ordering: .relaxed) }
    // Whoever started this process may have blocked the signal, and a blocked one is inherited.
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGUSR1)
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
  }

  /// Whether any rank has been asked to stop. Collective.
  public static func isRequested(_ communicator: Communicator) throws(MPIError) -> Bool {
    try communicator.allReduce(Int32(received.load(ordering: .relaxed) ? 1 : 0), .maximum) != 0
  }
}
