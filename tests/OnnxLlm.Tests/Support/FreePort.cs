using System.Net;
using System.Net.Sockets;

namespace OnnxLlm.Tests.Support;

/// <summary>Ports for programs that cannot choose one themselves.</summary>
internal static class FreePort
{
    public static int Find()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }
}
