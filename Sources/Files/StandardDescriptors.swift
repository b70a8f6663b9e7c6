import Glibc

/// The descriptors 0, 1 and 2.
public enum StandardDescriptors {
  /// Opens those that the caller has closed (`2>&-`, some daemons) on /dev/null. Otherwise the next file would get the
  /// number and receive the stream's text. Must be called first.
  public static func openClosed() {
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 && errno == EBADF {
      // open() returns the lowest free number, which is the missing one.
      _ = open("/dev/null", O_RDWR)
    }
  }
}
