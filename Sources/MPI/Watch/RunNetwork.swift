import Glibc

/// Chooses the IPv4 addresses of a machine that belong to the network of the run. Addresses are in network byte order.
package enum RunNetwork {
  /// An address of a network card, and its netmask.
  package struct Card: Sendable, Equatable {
    package var name: String
    package var address: UInt32
    package var mask: UInt32

    package init(name: String = "", address: UInt32, mask: UInt32) {
      self.name = name
      self.address = address
      self.mask = mask
    }

    func reaches(_ other: Card) -> Bool { address & mask == other.address & mask }
  }

  /// This machine's addresses, without loopback.
  static var cards: [Card] {
    var first: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&first) == 0 else { return [] }
    defer { freeifaddrs(first) }
    func address(_ name: UnsafeMutablePointer<sockaddr>?) -> UInt32? {
      guard let name, name.pointee.sa_family == sa_family_t(AF_INET) else { return nil }
      return name.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee.sin_addr.s_addr }
    }
    var result: [Card] = []
    var next = first
    while let entry = next {
      next = entry.pointee.ifa_next
      guard entry.pointee.ifa_flags & UInt32(IFF_LOOPBACK) == 0,
        let own = address(entry.pointee.ifa_addr), let mask = address(entry.pointee.ifa_netmask)
      else { continue }
      result.append(Card(name: String(cString: entry.pointee.ifa_name), address: own, mask: mask))
    }
    return result
  }

  /// The addresses on which rank 0 listens: those of the cards that the run was given (`included`). If none was given,
  /// those in the same network as another machine. For a machine that shares no network, the card from which the system
  /// sends to it (`route`).
  package static func listening(
    own: [Card], machines: [[Card]], included: String?, route: (UInt32) -> UInt32? = RunNetwork.route
  ) -> [UInt32] {
    let named = included.map { list in own.filter { isIncluded($0, list) } } ?? []
    if !named.isEmpty { return named.map(\.address) }
    let mine = Set(own.map(\.address))
    var result: [UInt32] = []
    for machine in machines {
      // Ranks in another container of the same network stack have the same addresses.
      let isHere = Set(machine.map(\.address)) == mine
      let others = isHere ? machine : machine.filter { !mine.contains($0.address) }
      var found = own.filter { card in others.contains(where: card.reaches) }.map(\.address)
      if found.isEmpty { found = others.compactMap { route($0.address) }.filter(mine.contains) }
      result += found.filter { !result.contains($0) }
    }
    return result
  }

  /// Whether Open MPI's list of names and networks (`btl_tcp_if_include`) includes a card.
  private static func isIncluded(_ card: Card, _ list: String) -> Bool {
    list.split(separator: ",").contains { item in
      if item == card.name { return true }
      let parts = item.split(separator: "/")
      var address = in_addr()
      guard parts.count == 2, let length = UInt32(parts[1]), length <= 32,
        inet_pton(AF_INET, String(parts[0]), &address) == 1
      else { return false }
      let mask = (length == 0 ? 0 : UInt32.max << (32 - length)).bigEndian
      return card.address & mask == address.s_addr & mask
    }
  }

  /// The address from which the system would send to `address`. Sends nothing.
  package static func route(to address: UInt32) -> UInt32? {
    let descriptor = StatusSocket.make(SOCK_DGRAM)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    let port = UInt16(9).bigEndian
    guard StatusEndpoint(address: address, port: port).withAddress({ connect(descriptor, $0, $1) }) == 0 else {
      return nil
    }
    return StatusSocket.address(of: descriptor) { getsockname($0, $1, $2) }?.address
  }
}
