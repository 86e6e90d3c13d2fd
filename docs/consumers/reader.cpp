// The masks of a run in C++: needs libzmq and nlohmann/json (Debian: libzmq3-dev nlohmann-json3-dev).
//   g++ -std=c++17 -O2 reader.cpp -lzmq -o reader && ./reader tcp://127.0.0.1:5556 [MESSAGES]
#include <zmq.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

using nlohmann::json;

// All parts of the next message; empty when the socket fails.
std::vector<std::string> receive(void* socket) {
  std::vector<std::string> parts;
  int more = 1;
  for (size_t size = sizeof more; more; zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size)) {
    zmq_msg_t part;
    zmq_msg_init(&part);
    if (zmq_msg_recv(&part, socket, 0) < 0) return {};
    parts.emplace_back(static_cast<char*>(zmq_msg_data(&part)), zmq_msg_size(&part));
    zmq_msg_close(&part);
  }
  return parts;
}

// The mask inside its bounding box, a bool a pixel, row after row.
std::vector<bool> mask(const json& object, const std::string& payload) {
  std::vector<bool> pixels(object["shape"][0].get<size_t>() * object["shape"][1].get<size_t>());
  for (size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = static_cast<uint8_t>(payload.at(i / 8)) >> (7 - i % 8) & 1;
  return pixels;
}

int main(int argc, char** argv) {
  if (argc < 2) return std::cerr << "usage: reader ENDPOINT [MESSAGES]\n", 2;
  const long messages = argc > 2 ? std::atol(argv[2]) : 0;
  void* context = zmq_ctx_new();
  void* socket = zmq_socket(context, ZMQ_SUB);
  zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "masks/", 6);
  if (zmq_connect(socket, argv[1]) != 0) return std::cerr << argv[1] << ": " << zmq_strerror(zmq_errno()) << '\n', 3;
  for (long count = 0; messages == 0 || count < messages;) {
    const auto parts = receive(socket);
    if (parts.size() < 2) return 1;
    const json frame = json::parse(parts[1], nullptr, false);
    if (frame.is_discarded() || frame["schema"] != "sam-pt-live/masks" || frame["version"] != 1) continue;
    for (const json& object : frame["objects"]) {
      size_t area = 0;
      for (const bool inside : mask(object, parts.at(2 + object["payload"].get<size_t>()))) area += inside;
      if (area) std::cout << frame["frame_id"] << ' ' << object["id"] << ' ' << object["state"].get<std::string>() << ' ' << area << std::endl;
    }
    ++count;
  }
  zmq_close(socket);
  zmq_ctx_term(context);
}
