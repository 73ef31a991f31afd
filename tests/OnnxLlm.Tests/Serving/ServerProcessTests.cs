using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;

namespace OnnxLlm.Tests.Serving;

/// <summary>The server as a process of its own: signals, exit codes, log lines.</summary>
public sealed class ServerProcessTests : IDisposable
{
    private const int Terminate = 15;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly ServedPackage _package = new(maxPositions: 8192);

    public void Dispose() => _package.Dispose();

    [Fact]
    public async Task Terminated_ItFinishesTheStreamAndExitsWithZero()
    {
        if (OperatingSystem.IsWindows()) return;      // no SIGTERM
        using var process = Start("--model", _package.Folder, "--urls", "http://127.0.0.1:0", "--threads", "1");
        using var http = new HttpClient { BaseAddress = new Uri(Address(process)), Timeout = Patience };
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = new StringContent("""{"model":"package","prompt":"sesame","max_tokens":2000,"ignore_eos":true,"stream":true}""", System.Text.Encoding.UTF8, "application/json"),
        };
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        using var stream = new StreamReader(await response.Content.ReadAsStreamAsync());
        Assert.StartsWith("data: ", await stream.ReadLineAsync(), StringComparison.Ordinal);

        Assert.Equal(0, Kill(process.Id, Terminate));
        Assert.EndsWith("data: [DONE]\n\n", await stream.ReadToEndAsync(), StringComparison.Ordinal);
        var log = await process.StandardOutput.ReadToEndAsync();
        Assert.True(process.WaitForExit(Patience));
        Assert.Equal(0, process.ExitCode);
        Assert.All(log.Split('\n', StringSplitOptions.RemoveEmptyEntries), line => Assert.NotNull(JsonNode.Parse(line)!["Message"]));
        Assert.Contains("Draining", log, StringComparison.Ordinal);
        Assert.DoesNotContain("sesame", log, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--model", "no/such/folder")]
    [InlineData("--model", "x", "--slots", "none")]
    [InlineData("--model", "x", "--device", "gpu")]
    [InlineData("--model", "x", "--device", "cuda:99")]
    public async Task Mistakes_AreOneLineAndExitCodeTwo(params string[] arguments)
    {
        using var process = Start(arguments);
        var error = await process.StandardError.ReadToEndAsync();
        Assert.True(process.WaitForExit(Patience));
        Assert.Equal(2, process.ExitCode);
        Assert.Equal(1, error.Count(c => c == '\n'));
    }

    [Fact]
    public async Task PortInUse_IsOneLineInAllAndExitCodeTwo()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        using var process = Start("--model", _package.Folder, "--urls", $"http://{taken.LocalEndpoint}", "--threads", "1");
        var log = process.StandardOutput.ReadToEndAsync();
        var error = await process.StandardError.ReadToEndAsync();
        Assert.True(process.WaitForExit(Patience));
        Assert.Equal(2, process.ExitCode);
        Assert.Equal(1, error.Count(c => c == '\n'));
        Assert.Contains("address already in use", error, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", await log, StringComparison.Ordinal);
    }

    /// <summary>From the line that says where the model is served.</summary>
    private static string Address(Process process)
    {
        while (process.StandardOutput.ReadLine() is { } line)
            if ((string?)JsonNode.Parse(line)?["State"]?["Urls"] is { } address) return address;
        throw new InvalidOperationException(process.StandardError.ReadToEnd());
    }

    private static Process Start(params string[] arguments)
    {
        var program = Path.Combine(AppContext.BaseDirectory, "OnnxLlm.Serving.dll");
        return Process.Start(new ProcessStartInfo("dotnet", [program, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
    }

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int process, int signal);
}
