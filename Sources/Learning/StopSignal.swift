import Foundation
import MPI
import Synchronization

/// Notices the wish to stop, and lets all ranks stop after the same step.
///
/// SIGUSR1 is that wish always: the launch scripts send it for SIGTERM and SIGINT, at which mpirun kills its ranks. A
/// process that no launcher started takes SIGINT (Ctrl-C), SIGTERM and SIGHUP so as well, once; the next one ends it.
public enum StopSignal {
  private static let received = Atomic<Bool>(false)
  /// What ends a process that nobody else ends.
  private static let own = [SIGINT, SIGTERM, SIGHUP]

  /// Starts to listen; the signals no longer end the process.
  public static func install() {
    signal(SIGUSR1) { _ in StopSignal.received.store(true, ordering: .relaxed) }
    // Whoever started this process may have blocked the signal, and a blocked one is inherited.
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGUSR1)
    if !hasLauncher { for number in own { sigaddset(&signals, number) } }
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    guard !hasLauncher else { return }
    for number in own {
      let before = signal(number) { _ in StopSignal.takeOnce() }
      // nohup has it ignored. Shells have SIGINT ignored for what runs in the background, but who sends that means it.
      if number == SIGHUP, unsafeBitCast(before, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) {
        signal(number, SIG_IGN)
      }
    }
  }

  /// Whether mpirun or a batch system started this process and decides when it ends.
  private static var hasLauncher: Bool {
    let variables = ProcessInfo.processInfo.environment
    return ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"].contains { variables[$0] != nil }
  }

  /// In the handler: only what may be called there.
  private static func takeOnce() {
    received.store(true, ordering: .relaxed)
    signal(SIGINT, SIG_DFL)
    signal(SIGTERM, SIG_DFL)
    let line: StaticString = "\nquillan: stopping after this step with a checkpoint; once more ends at once\n"
    _ = write(STDERR_FILENO, line.utf8Start, line.utf8CodeUnitCount)
  }

  /// Whether this rank has been asked to stop. Once it has, it always has.
  public static var isReceived: Bool { received.load(ordering: .relaxed) }

  /// Whether any rank has been asked to stop. Collective.
  public static func isRequested(_ communicator: Communicator) throws(MPIError) -> Bool {
    try communicator.allReduce(Int32(isReceived ? 1 : 0), .maximum) != 0
  }

  /// Thrown on all ranks out of work that a stop signal cut short.
  package struct CutShort: Error {}
}
