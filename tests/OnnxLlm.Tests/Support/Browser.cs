using System.Diagnostics;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace OnnxLlm.Tests.Support;

/// <summary>One page of a headless Chromium, driven over its DevTools protocol. Commands are answered in order, so one reader is enough.</summary>
internal sealed class Browser : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly string _profile;
    private readonly ClientWebSocket _socket = new();
    private int _commands;

    private Browser(Process process, string profile) => (_process, _profile) = (process, profile);

    /// <summary>Where Chromium is, or null.</summary>
    public static string? Program => InstalledProgram.Find("chromium", "chromium-browser", "google-chrome");

    /// <summary>What the page wrote to its console, and errors that nobody caught.</summary>
    public List<string> Complaints { get; } = [];

    public static async Task<Browser> OpenAsync(Uri address)
    {
        var profile = Directory.CreateTempSubdirectory("browser").FullName;
        var process = Process.Start(new ProcessStartInfo(
            Program!, ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-port=0", $"--user-data-dir={profile}", "about:blank"])
        { RedirectStandardError = true, RedirectStandardOutput = true })!;
        var browser = new Browser(process, profile);
        await browser.ConnectAsync();
        await browser.SendAsync("Runtime.enable");
        await browser.SendAsync("Page.enable");
        await browser.SendAsync("Page.navigate", new JsonObject { ["url"] = address.ToString() });
        await browser.UntilAsync("location.href !== 'about:blank' && document.readyState === 'complete'");
        return browser;
    }

    /// <summary>The value of an expression, which may be a promise.</summary>
    public async Task<JsonNode?> AskAsync(string expression)
    {
        var answer = await SendAsync("Runtime.evaluate", new JsonObject { ["expression"] = expression, ["returnByValue"] = true, ["awaitPromise"] = true });
        Assert.True(answer["exceptionDetails"] is null, $"{expression}: {answer["exceptionDetails"]?.ToJsonString()}");
        return answer["result"]!["value"];
    }

    /// <summary>Waits until an expression is true.</summary>
    public async Task UntilAsync(string condition)
    {
        var waited = Stopwatch.StartNew();
        while ((bool?)await AskAsync($"!!({condition})") != true)
            Assert.True(waited.Elapsed < Patience, $"{condition} does not come true. The page shows: {await AskAsync("document.body.innerText")} {string.Join('\n', Complaints)}");
    }

    /// <summary>Types into what has the focus.</summary>
    public Task TypeAsync(string text) => SendAsync("Input.insertText", new JsonObject { ["text"] = text });

    public async Task PressAsync(string key, int code)
    {
        var text = key == "Enter" ? "\r" : "";
        foreach (var type in new[] { "keyDown", "keyUp" })
            await SendAsync("Input.dispatchKeyEvent", new JsonObject { ["type"] = type, ["key"] = key, ["code"] = key, ["windowsVirtualKeyCode"] = code, ["text"] = type == "keyDown" ? text : "" });
    }

    public Task SizeAsync(int width, int height) =>
        SendAsync("Emulation.setDeviceMetricsOverride", new JsonObject { ["width"] = width, ["height"] = height, ["deviceScaleFactor"] = 1, ["mobile"] = width < 600 });

    /// <summary>What the user prefers, as media features.</summary>
    public Task PreferAsync(params (string Feature, string Value)[] wishes) =>
        SendAsync("Emulation.setEmulatedMedia", new JsonObject { ["features"] = new JsonArray([.. wishes.Select(wish => new JsonObject { ["name"] = wish.Feature, ["value"] = wish.Value })]) });

    public async ValueTask DisposeAsync()
    {
        _socket.Dispose();
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
        Directory.Delete(_profile, recursive: true);
    }

    private async Task ConnectAsync()
    {
        const string Greeting = "DevTools listening on ";
        string? line;
        do line = await _process.StandardError.ReadLineAsync().WaitAsync(Patience) ?? throw new InvalidOperationException("Chromium ended.");
        while (!line.StartsWith(Greeting, StringComparison.Ordinal));
        _ = _process.StandardError.ReadToEndAsync();        // its pipe must not fill up
        using var http = new HttpClient();
        var pages = JsonNode.Parse(await http.GetStringAsync($"http://{new Uri(line[Greeting.Length..]).Authority}/json/list"))!.AsArray();
        var page = pages.Single(target => (string?)target!["type"] == "page");
        await _socket.ConnectAsync(new Uri((string)page!["webSocketDebuggerUrl"]!), CancellationToken.None);
    }

    private async Task<JsonNode> SendAsync(string method, JsonObject? parameters = null)
    {
        var id = ++_commands;
        var command = new JsonObject { ["id"] = id, ["method"] = method, ["params"] = parameters ?? [] };
        await _socket.SendAsync(Encoding.UTF8.GetBytes(command.ToJsonString()), WebSocketMessageType.Text, true, CancellationToken.None);
        while (true)
        {
            var message = await ReceiveAsync();
            if ((int?)message["id"] == id) return message["result"] ?? throw new InvalidOperationException($"{method}: {message.ToJsonString()}");
            if ((string?)message["method"] is "Runtime.exceptionThrown" or "Runtime.consoleAPICalled") Complaints.Add(message.ToJsonString());
        }
    }

    private async Task<JsonNode> ReceiveAsync()
    {
        using var whole = new MemoryStream();
        var buffer = new byte[64 << 10];
        WebSocketReceiveResult part;
        do
        {
            part = await _socket.ReceiveAsync(buffer, CancellationToken.None).WaitAsync(Patience);
            whole.Write(buffer, 0, part.Count);
        }
        while (!part.EndOfMessage);
        return JsonSerializer.Deserialize<JsonNode>(whole.ToArray())!;
    }
}
