using System.Text.Json.Nodes;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.Serving;

/// <summary>The playground in a real browser, used by keyboard and read by its roles and names, as those do who cannot see it.</summary>
public sealed class PlaygroundBrowserTests
{
    private const int Enter = 13, Escape = 27, ArrowRight = 39;
    private const string Answer = "Once upon a time there was a small server. The stop is a word.";
    private const string Story = $"<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n{Answer}";

    [Needs("chromium")]
    public async Task Chat_ByKeyboard_StreamsTheAnswer_AndTellsHowItWent()
    {
        await using var server = await TestServer.StartAsync(Teller());
        await using var page = await OpenAsync(server);
        await AskAsync(page, "Hello");
        await page.UntilAsync($"document.querySelector('.turn.assistant .text').textContent === '{Answer}'");
        await page.UntilAsync("document.querySelector('.turn.assistant .meta').textContent.includes('complete')");
        Assert.Contains(Answer, (string?)await page.AskAsync("document.querySelector('[role=status]').textContent"), StringComparison.Ordinal);
        Assert.Equal("message", (string?)await page.AskAsync("document.activeElement.id"));
        Assert.Empty(page.Complaints);
    }

    [Needs("chromium")]
    public async Task Escape_WhileTheModelAnswers_StopsIt()
    {
        using var steps = new SemaphoreSlim(6);
        await using var server = await TestServer.StartAsync(Teller());
        await using var page = await OpenAsync(server);
        server.Model.BeforePass = () => steps.Wait(TestServer.Patience);
        await AskAsync(page, "Hello");
        await page.UntilAsync("!document.getElementById('chat-stop').hidden && document.querySelector('.turn.assistant .text').textContent !== ''");
        await page.PressAsync("Escape", Escape);
        await page.UntilAsync("document.getElementById('chat-stop').hidden");
        Assert.Contains("stopped by you", (string?)await page.AskAsync("document.querySelector('.turn.assistant .meta').textContent"), StringComparison.Ordinal);
        Assert.True(SpinWait.SpinUntil(() => server.Metrics.Requests.Value("abort") == 1, TestServer.Patience));
        steps.Release(1000);
        Assert.True(SpinWait.SpinUntil(() => server.Engine.Running == 0, TestServer.Patience));
    }

    [Needs("chromium")]
    public async Task Error_OfTheServer_IsShownAsAnAlert()
    {
        await using var server = await TestServer.StartAsync();
        await using var page = await OpenAsync(server);
        server.Model.BeforePass = () => throw new InvalidOperationException("injected");
        await AskAsync(page, "Hello");
        await page.UntilAsync("document.querySelector('.turn [role=alert]')");

        // The server breaks the connection after the error, and the break may outrun it: the page then has only the browser's word for it.
        Assert.Matches("internal_error|network error", (string?)await page.AskAsync("document.querySelector('.turn [role=alert]').textContent"));
        Assert.False((bool)(await page.AskAsync("document.getElementById('chat-send').hidden"))!);
    }

    [Needs("chromium")]
    public async Task Key_WhereTheServerWantsOne_IsAskedForAndUsed()
    {
        await using var server = await TestServer.StartAsync(Teller(), options => options with { ApiKeys = ["right"] });
        await using var page = await Browser.OpenAsync(server.Address);
        await page.UntilAsync("document.getElementById('key-dialog').open && document.activeElement.id === 'key'");
        await page.TypeAsync("right");
        await page.PressAsync("Enter", Enter);
        await ReadyAsync(page);
        await AskAsync(page, "Hello");
        await page.UntilAsync($"document.querySelector('.turn.assistant .text').textContent === '{Answer}'");
    }

    [Needs("chromium")]
    public async Task Completion_WithProbabilities_ShowsWhatCouldHaveStoodThere()
    {
        await using var server = await TestServer.StartAsync(TestServer.Parrot("Once upon a time there was a small server."));
        await using var page = await OpenAsync(server);
        await page.AskAsync("document.getElementById('tab-chat').focus()");
        await page.PressAsync("ArrowRight", ArrowRight);
        Assert.Equal("Completion", (string?)await page.AskAsync("document.querySelector('[role=tab][aria-selected=true]').textContent"));
        await page.AskAsync("document.getElementById('show-odds').click(); document.getElementById('prompt').focus()");
        await page.TypeAsync("Once upon");
        await page.AskAsync("document.getElementById('completion-form').requestSubmit()");
        await page.UntilAsync("document.querySelector('#completion-meta span')");
        Assert.Equal("Once upon a time there was a small server.", (string?)await page.AskAsync("document.getElementById('paper').textContent"));
        await page.AskAsync("document.querySelector('.token').focus()");
        await page.PressAsync("ArrowRight", ArrowRight);
        await page.UntilAsync("document.activeElement === document.querySelectorAll('.token')[1] && document.querySelectorAll('#odds tr').length === 5");
    }

    [Needs("chromium")]
    public async Task Charts_FollowTheServer()
    {
        await using var server = await TestServer.StartAsync(Teller());
        await using var page = await OpenAsync(server);
        await AskAsync(page, "Hello");
        await page.UntilAsync("[...document.querySelectorAll('.chart svg')].some(chart => /peak [1-9]/.test(chart.getAttribute('aria-label')))");
        Assert.Equal(3, (int)(await page.AskAsync("document.querySelectorAll('.chart svg[role=img][aria-label]').length"))!);
    }

    [Needs("chromium")]
    public async Task Card_TellsWhatQuantizationGainedAndCost()
    {
        const string Rows = "[...document.querySelectorAll('.compare tbody tr')].map(row => [...row.children].map(cell => cell.textContent).join('|') + '|' + row.lastElementChild.className).join()";
        var quantization = JsonNode.Parse("""
            {"bits":8,"block":32,"float_bytes":4000000,"quantized_bytes":1000000,
             "quality":{"float_perplexity":20,"quantized_perplexity":20.01,"perplexity_loss":0.0005,"top1_agreement":0.995,"tokens":1234,"max_perplexity_loss":0.001},
             "speed":[{"threads":2,"float_decode":100,"quantized_decode":250,"float_prefill":1000,"quantized_prefill":900}]}
            """);
        await using var server = await TestServer.StartAsync(quantization: (JsonObject)quantization!);
        await using var page = await OpenAsync(server);
        Assert.Equal(
            "File size|4.0 MB|1.0 MB|−75 %|gain,Perplexity|20.00|20.01|+0.05 %|gain,Decode, tok/s|100|250|2.50×|gain,Prefill, tok/s|1,000|900|0.90×|loss",
            (string?)await page.AskAsync(Rows));
        Assert.Contains("99.50 % of 1,234 held-out tokens", (string?)await page.AskAsync("document.getElementById('card').textContent"), StringComparison.Ordinal);
        Assert.Empty(page.Complaints);
    }

    [Needs("chromium")]
    public async Task EveryControl_HasAName_AndNothingOverflowsAPhone()
    {
        const string Unnamed = """
            [...document.querySelectorAll('button, input, select, textarea')]
              .filter(control => !control.labels?.length && !control.getAttribute('aria-label') && !control.textContent.trim()).map(control => control.outerHTML).join()
            """;
        await using var server = await TestServer.StartAsync(Teller());
        await using var page = await OpenAsync(server);
        Assert.Equal("", (string?)await page.AskAsync(Unnamed));
        foreach (var (width, height) in new[] { (360, 740), (820, 1180), (1440, 900) })
        {
            await page.SizeAsync(width, height);
            Assert.Equal(width, (int)(await page.AskAsync("document.documentElement.scrollWidth"))!);
        }

        await page.SizeAsync(360, 740);
        await page.AskAsync("document.getElementById('open-side').click()");
        Assert.True((bool)(await page.AskAsync("document.getElementById('side').checkVisibility() && document.activeElement.closest('#side') !== null"))!);
        await page.PressAsync("Escape", Escape);
        Assert.True((bool)(await page.AskAsync("!document.getElementById('side').checkVisibility() && document.activeElement.id === 'open-side'"))!);
    }

    [Needs("chromium")]
    public async Task Text_InBothThemes_HasEnoughContrast()
    {
        const string Weakest = """
            (() => {
              const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
              const rgb = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
              const light = (color) => color.slice(0, 3).map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
              const behind = (element) => { for (let e = element; e; e = e.parentElement) { const color = rgb(getComputedStyle(e).backgroundColor); if (color[3] === 255) return color; } return [255, 255, 255]; };
              const texts = [...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && !e.disabled && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
              return Math.min(...texts.map(e => { const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))]; return (Math.max(a, b) + .05) / (Math.min(a, b) + .05); }));
            })()
            """;
        await using var server = await TestServer.StartAsync(Teller());
        await using var page = await OpenAsync(server);
        await AskAsync(page, "Hello");
        await page.UntilAsync("document.querySelector('.again')");
        foreach (var theme in new[] { "light", "dark" })
        {
            // Without motion, so that no colour is on its way.
            await page.PreferAsync(("prefers-color-scheme", theme), ("prefers-reduced-motion", "reduce"));
            var weakest = (double)(await page.AskAsync(Weakest))!;
            Assert.True(weakest >= 4.5, $"{theme}: the weakest text has a contrast of {weakest:F2}; WCAG AA asks for 4.5.");
        }
    }

    private static async Task<Browser> OpenAsync(TestServer server)
    {
        var page = await Browser.OpenAsync(server.Address);
        await ReadyAsync(page);
        return page;
    }

    private static Task ReadyAsync(Browser page) => page.UntilAsync("document.getElementById('health-text').textContent === 'ready'");

    /// <summary>Types a message, greedily answered, and presses Enter.</summary>
    private static async Task AskAsync(Browser page, string message)
    {
        await page.AskAsync("document.getElementById('temperature-number').value = 0; document.getElementById('temperature-number').dispatchEvent(new Event('change')); document.getElementById('message').focus()");
        await page.TypeAsync(message);
        await page.PressAsync("Enter", Enter);
    }

    private static ParrotModel Teller()
    {
        var text = TestServer.Tokenizer.Encode(Story, allowSpecial: true);
        return new ParrotModel(text, TestServer.Tokenizer.Special.Eos!.Value, TestServer.Tokenizer.VocabularySize);
    }
}
