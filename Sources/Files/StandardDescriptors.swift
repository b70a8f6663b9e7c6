import Glibc

/// The descriptors 0, 1 and 2.
public enum StandardDescriptors {
  /// Opens those that the caller has closed (`2>&-`, some daemons) on /dev/null. The next file that is opened would get
  /// the number, and then hold what is meant for the stream. Called first of all.
  public static func openClosed() {
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 && errno == EBADF {
      // The lowest free number is the one that is missing; all below are open.
      _ = open("/dev/null", O_RDWR)
    }
  }
}
