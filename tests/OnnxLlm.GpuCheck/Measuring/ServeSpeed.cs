using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.GpuCheck.Measuring;

/// <summary>Answers over HTTP beside the bare loop with as many sequences.</summary>
/// <param name="Clients">Each asks again as soon as it has its answer.</param>
/// <param name="TokensPerSecond">Of the server.</param>
/// <param name="BareTokensPerSecond">Of the loop that only decodes.</param>
internal sealed record ServeResult(int Clients, double TokensPerSecond, double BareTokensPerSecond);

internal static class ServeSpeed
{
    private const int Clients = 16, Rounds = 3, Prompt = 8, Bytes = 256;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    public static ServeResult Measure(Device device, Workload work, TimeProvider time)
    {
        using var folder = new ScratchFolder();
        var package = RandomPackage.Write(folder.PathOf("model"), work.Model);
        double served = Served(package.Folder, device, work, time);
        return new(Clients, served, DecodeSpeed.Measure(package, device, Clients, work.Tokens, time));
    }

    private static double Served(string model, Device device, Workload work, TimeProvider time)
    {
        using var server = Start(model, device);
        try
        {
            using var http = new HttpClient { BaseAddress = new(Address(server)), Timeout = Patience };
            Ask(http, work, 1);
            long begun = time.GetTimestamp();
            Ask(http, work, Rounds);
            return Clients * Rounds * work.Tokens / time.GetElapsedTime(begun).TotalSeconds;
        }
        finally
        {
            server.Kill(entireProcessTree: true);
            server.WaitForExit();
        }
    }

    private static Process Start(string model, Device device)
    {
        string program = Path.Combine(AppContext.BaseDirectory, "OnnxLlm.Serving");
        string[] arguments = ["--model", model, "--name", "model", "--urls", "http://127.0.0.1:0", "--device", device.ToString(), "--slots", FormattableString.Invariant($"{Clients}"), "--cache-mb", "0"];

        // Published with its own .NET, or built.
        bool published = File.Exists(Path.Combine(AppContext.BaseDirectory, "libcoreclr.so"));
        return Process.Start(new ProcessStartInfo(published ? program : "dotnet", published ? arguments : [$"{program}.dll", .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
    }

    /// <summary>From the line of its log that says where it listens, which it does after its first forward pass.</summary>
    private static string Address(Process server)
    {
        using var limit = new CancellationTokenSource(Patience);
        while (server.StandardOutput.ReadLineAsync(limit.Token).AsTask().GetAwaiter().GetResult() is { } line)
        {
            using var entry = JsonDocument.Parse(line);
            if (!entry.RootElement.TryGetProperty("State", out var state) || !state.TryGetProperty("Urls", out var address)) continue;
            _ = server.StandardOutput.BaseStream.CopyToAsync(Stream.Null);      // what nobody reads would stop it
            _ = server.StandardError.BaseStream.CopyToAsync(Stream.Null);
            return address.GetString()!;
        }
        throw new GpuCheckException($"The server ended before it listened: {server.StandardError.ReadToEnd().Trim()}");
    }

    /// <summary>All clients together, each so many answers one after the other.</summary>
    private static void Ask(HttpClient http, Workload work, int answers) => Task.WhenAll(Enumerable.Range(0, Clients).Select(async client =>
    {
        for (int answer = 0; answer < answers; answer++)
        {
            int[] prompt = [.. Enumerable.Range(1, Prompt).Select(i => (i * 37 + client * 101 + answer * 7) % Bytes)];
            using var response = await http.PostAsJsonAsync("/v1/completions", new { model = "model", prompt, max_tokens = work.Tokens, temperature = 0, ignore_eos = true });
            string body = await response.Content.ReadAsStringAsync();
            if (!response.IsSuccessStatusCode) throw new GpuCheckException($"The server answered {(int)response.StatusCode}: {body}");
        }
    })).GetAwaiter().GetResult();
}
